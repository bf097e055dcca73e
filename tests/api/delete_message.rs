//! DELETE /v1/conversations/{id}/messages/{msgId}

use futures_util::future::join_all;
use serde_json::{Value, json};
use support::checks::required_string;
use support::token_key::TokenKey;
use support::{Chat, Request, assert_keys, assert_time};

fn request(chat: &Chat) -> Request {
    Request::delete(chat.message_path(), &json!({ "sender_id": "ada" }))
}

every_route!(request);
conversation_route!(request);
json_route!(request);
message_route!(request);

#[tokio::test]
async fn a_deletion_answers_the_message_without_its_content() {
    let mut chat = Chat::new().await;
    let image = json!({
        "sender_id": "ada", "receiver_id": "bob", "body": "look", "message_type": "image",
        "media_url": "https://example.com/x.png", "reply_to": chat.message["id"],
    });
    chat.message = chat.send_with(&image).await;
    let response = chat.call(request(&chat)).await.ok();
    assert_keys(&response, &["message"]);
    let deleted_at = &response["message"]["deleted_at"];
    assert_time(deleted_at);
    let mut expected = chat.message.clone();
    for (field, value) in [
        ("body", &Value::Null),
        ("media_url", &Value::Null),
        ("deleted_at", deleted_at),
        ("updated_at", deleted_at),
    ] {
        expected[field] = value.clone();
    }
    assert_eq!(response["message"], expected);
}

#[tokio::test]
async fn history_hides_the_message_and_the_row_keeps_it_whole() {
    let chat = Chat::new().await;
    let mut before = chat.rows().await["messages"][0].take();
    assert_ne!(before["backend"].take(), Value::Null);
    chat.call(request(&chat)).await.ok();
    assert!(chat.history("").await.is_empty());
    let mut after = chat.rows().await["messages"][0].take();
    for mark in ["deleted_at", "deletion_id", "changed_at", "backend"] {
        assert_ne!(after[mark], Value::Null);
        after[mark] = Value::Null;
    }
    assert_eq!(after, before);
}

#[tokio::test]
async fn deleting_again_gets_the_same_answer_and_changes_nothing() {
    let chat = Chat::new().await;
    let first = chat.call(request(&chat)).await.ok();
    let before = chat.rows().await;
    assert_eq!(chat.call(request(&chat)).await.ok(), first);
    assert_eq!(chat.rows().await, before);
}

#[tokio::test]
async fn ten_concurrent_deletions_get_one_answer() {
    let chat = Chat::new().await;
    let responses = join_all((0..10).map(|_| chat.call(request(&chat)))).await;
    let first = responses[0].ok();
    assert!(responses.iter().all(|response| response.ok() == first));
}

#[tokio::test]
async fn a_reply_outlives_what_it_answers() {
    let chat = Chat::new().await;
    let reply =
        chat.send_with(&json!({ "sender_id": "bob", "body": "yes", "reply_to": chat.message["id"] })).await;
    chat.call(request(&chat)).await.ok();
    let history = chat.history("").await;
    assert_eq!((history.len(), &history[0]["id"]), (1, &reply["id"]));
    assert_eq!(history[0]["reply_to"], chat.message["id"]);
}

#[tokio::test]
async fn another_sender_answers_403_after_the_deletion_too() {
    let chat = Chat::new().await;
    chat.call(request(&chat)).await.ok();
    let request = request(&chat).with_field("sender_id", "bob");
    chat.refuses(request, 403, "only the sender may change this message").await;
}

#[tokio::test]
async fn the_sender_must_be_a_string_of_at_most_255_characters() {
    required_string(request, "sender_id", 255).await;
}

#[tokio::test]
async fn a_secret_key_deletes_anyones_message_and_needs_no_sender() {
    let mut chat = Chat::new().await;
    for who in [json!({}), json!({ "sender_id": null }), json!({ "sender_id": "eve" })] {
        chat.message = chat.send("bob", "rude").await;
        let delete = Request::delete(chat.message_path(), &who).with_secret_key();
        let deleted = chat.call(delete.clone()).await.ok();
        assert_eq!(
            (&deleted["message"]["sender_id"], &deleted["message"]["body"]),
            (&json!("bob"), &Value::Null)
        );
        assert_eq!(chat.call(delete).await.ok(), deleted);
    }
    assert_eq!(chat.history("").await.len(), 1);
    let delete = Request::delete(chat.message_path(), &json!({ "sender_id": 7 })).with_secret_key();
    chat.refuses(delete, 400, "sender_id must be a string").await;
}

#[tokio::test]
async fn staff_delete_their_own_messages_only() {
    let chat = Chat::new().await;
    let key = TokenKey::new(&chat).await;
    let delete = Request::delete(chat.message_path(), &json!({})).with_key(key.token_as("sam", "admin"));
    chat.refuses(delete, 403, "only the sender may change this message").await;
}

#[tokio::test]
async fn another_tenants_secret_key_finds_no_message() {
    let (chat, other) = (Chat::new().await, Chat::new().await);
    other.add_secret_key(&other.secret_key()).await;
    let delete = Request::delete(chat.message_path(), &json!({})).with_key(other.secret_key());
    chat.refuses(delete, 404, "conversation not found").await;
}
