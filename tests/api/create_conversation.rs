//! POST /v1/conversations

use futures_util::future::join_all;
use serde_json::{Value, json};
use support::checks::{optional_string, refuses_values};
use support::{Chat, Request, assert_keys, assert_time};
use uuid::Uuid;

fn request(_: &Chat) -> Request {
    let body = json!({ "kind": "order", "external_ref": "order_9001", "participants": ["ada", "bob"] });
    Request::post("/v1/conversations", &body)
}

every_route!(request);
json_route!(request);

/// Sends the example request with these fields. Returns the conversation as it was answered.
async fn create(chat: &Chat, fields: Value) -> Value {
    chat.call(request(chat).with(&fields)).await.ok()["conversation"].take()
}

async fn count(chat: &Chat) -> usize {
    chat.rows().await["conversations"].as_array().unwrap().len()
}

#[tokio::test]
async fn a_new_conversation_is_answered_in_full() {
    let chat = Chat::new().await;
    let response = chat.call(request(&chat)).await.ok();
    assert_keys(&response, &["conversation"]);
    let conversation = &response["conversation"];
    Uuid::parse_str(conversation["id"].as_str().unwrap()).unwrap();
    let expected = json!({
        "id": conversation["id"], "tenant_id": chat.tenant, "kind": "order", "external_ref": "order_9001",
        "participants": ["ada", "bob"], "status": "open", "last_message": null, "last_at": null,
        "updated_at": conversation["updated_at"],
    });
    assert_time(&conversation["updated_at"]);
    assert_eq!(*conversation, expected);
}

#[tokio::test]
async fn the_same_reference_returns_the_first_conversation_unchanged() {
    let chat = Chat::new().await;
    let first = create(&chat, json!({})).await;
    assert_eq!(create(&chat, json!({ "participants": ["eve"] })).await, first);
    assert_eq!(chat.conversations_of("eve").await, [] as [Value; 0]);
}

#[tokio::test]
async fn the_first_conversation_comes_back_with_its_last_message() {
    let mut chat = Chat::new().await;
    chat.conversation = create(&chat, json!({})).await["id"].as_str().unwrap().to_owned();
    let message = chat.send("ada", "where is it?").await;
    let again = create(&chat, json!({})).await;
    assert_eq!((&again["last_message"], &again["last_at"]), (&message["body"], &message["created_at"]));
}

#[tokio::test]
async fn another_kind_with_the_same_reference_is_another_conversation() {
    let chat = Chat::new().await;
    let order = create(&chat, json!({})).await;
    for kind in ["support", "direct"] {
        let other = create(&chat, json!({ "kind": kind })).await;
        assert_ne!(other["id"], order["id"]);
        assert_eq!(other["kind"], kind);
    }
}

#[tokio::test]
async fn another_tenant_with_the_same_reference_gets_its_own_conversation() {
    let (one, other) = (Chat::new().await, Chat::new().await);
    let (first, second) = (create(&one, json!({})).await, create(&other, json!({})).await);
    assert_ne!(first["id"], second["id"]);
    assert_eq!(second["tenant_id"], json!(other.tenant));
}

#[tokio::test]
async fn without_a_reference_every_call_creates() {
    let chat = Chat::new().await;
    let before = count(&chat).await;
    let omitted = request(&chat).without_field("external_ref");
    let mut ids = vec![chat.call(omitted).await.ok()["conversation"]["id"].take()];
    for nothing in [Value::Null, json!(""), Value::Null, json!("")] {
        let conversation = create(&chat, json!({ "external_ref": nothing })).await;
        assert_eq!(conversation["external_ref"], Value::Null);
        assert!(!ids.contains(&conversation["id"]));
        ids.push(conversation["id"].clone());
    }
    assert_eq!(count(&chat).await, before + ids.len());
}

#[tokio::test]
async fn fifty_concurrent_calls_with_one_reference_make_one_conversation_and_all_get_it() {
    let chat = Chat::new().await;
    let before = count(&chat).await;
    let conversations =
        join_all((0..50).map(|n| create(&chat, json!({ "participants": [format!("user_{n}")] })))).await;
    assert!(conversations.iter().all(|conversation| *conversation == conversations[0]));
    assert_eq!(count(&chat).await, before + 1);
}

#[tokio::test]
async fn repeated_participants_count_once_in_order() {
    let chat = Chat::new().await;
    let conversation = create(&chat, json!({ "participants": ["b", "a", "b", "c", "a"] })).await;
    assert_eq!(conversation["participants"], json!(["b", "a", "c"]));
}

#[tokio::test]
async fn participants_are_1_to_100_strings_of_at_most_255_characters() {
    let chat = Chat::new().await;
    let most: Vec<_> = (0..100).map(|n| format!("{n:💬>255}")).collect();
    assert_eq!(create(&chat, json!({ "participants": most })).await["participants"], json!(most));
    let too_many: Vec<_> = (0..101).map(|n| n.to_string()).collect();
    let (is_required, no_array) = ("participants is required", "participants must be an array of strings");
    chat.refuses(request(&chat).without_field("participants"), 400, is_required).await;
    let values = [
        (Value::Null, is_required),
        (json!([]), is_required),
        (json!("ada"), no_array),
        (json!({ "0": "ada" }), no_array),
        (json!(["ada", 2]), no_array),
        (json!([["ada"]]), no_array),
        (json!([null]), no_array),
        (json!(["ada", ""]), "participants must not contain empty strings"),
        (json!(["a\u{0}"]), "participants must not contain NUL"),
        (json!(["x".repeat(256)]), "participants is too long"),
        (json!(too_many), "too many participants"),
    ];
    refuses_values(request, "participants", &values).await;
}

#[tokio::test]
async fn a_kind_that_does_not_exist_answers_400() {
    let chat = Chat::new().await;
    chat.refuses(request(&chat).without_field("kind"), 400, "kind is required").await;
    let unknown = "kind must be one of order, support, direct";
    let values = [
        (Value::Null, "kind is required"),
        (json!(""), "kind is required"),
        (json!("group"), unknown),
        (json!("Order"), unknown),
        (json!(1), "kind must be a string"),
        (json!(["order"]), "kind must be a string"),
    ];
    refuses_values(request, "kind", &values).await;
}

#[tokio::test]
async fn the_reference_must_be_a_string_of_at_most_255_characters() {
    optional_string(request, "external_ref", 255).await;
}
