//! A client that knows only the published reference. This file uses nothing else, and it doesn't change when the API grows: every
//! field that the reference shows must be there with its meaning, and nothing else may be required.

use serde_json::{Value, json};
use support::token_key::TokenKey;
use support::{Channel, Chat, Request, assert_time, images, setting};

/// Asserts that a value has all of the expected one's members. It may have more.
#[track_caller]
fn assert_has(value: &Value, expected: &Value) {
    match expected {
        Value::Object(members) => members.iter().for_each(|(name, member)| assert_has(&value[name], member)),
        other => assert_eq!(value, other),
    }
}

/// Walks through the reference from its first route to its last.
async fn walk(chat: &Chat) {
    let call = async |request: Request| chat.call(request).await.ok();
    let config = call(Request::get("/v1/config")).await;
    let realtime = json!({
        "supabase_url": setting("SUPABASE_URL"), "supabase_anon_key": setting("SUPABASE_ANON_KEY"),
        "channel_prefix": "conv:",
    });
    assert_has(&config, &json!({ "tenant": { "id": chat.tenant, "name": "Test" }, "realtime": realtime }));

    let about =
        json!({ "user_id": "u_42", "name": "Ada Lovelace", "email": "ada@example.com", "role": "customer" });
    let user = call(Request::post("/v1/users", &about)).await["user"].take();
    assert_has(&user, &about);
    let defaults = json!({ "tenant_id": chat.tenant, "fcm_tokens": [], "notification_prefs": {} });
    assert_has(&user, &defaults);
    assert!(user["id"].is_string());
    assert_time(&user["last_seen_at"]);

    let order =
        json!({ "kind": "order", "external_ref": "order_9001", "participants": ["u_42", "driver_3"] });
    let created = call(Request::post("/v1/conversations", &order)).await["conversation"].take();
    assert_has(&created, &order);
    assert_has(&created, &json!({ "tenant_id": chat.tenant, "last_at": null }));
    let others = Request::post("/v1/conversations", &order).with_field("participants", json!(["cat", "dan"]));
    assert_eq!(call(others).await["conversation"], created);
    let id = created["id"].as_str().unwrap();
    let path = |rest: &str| format!("/v1/conversations/{id}/{rest}");

    let mut channel = Channel::join(id).await;
    let first = json!({ "sender_id": "u_42", "body": "Hi, where is my order?", "message_type": "text" });
    let sent = call(Request::post(path("messages"), &first)).await["message"].take();
    assert_has(&sent, &first);
    assert_eq!(sent["conversation_id"], id);
    assert_time(&sent["created_at"]);
    assert_has(&channel.next("message").await, &json!({ "message": first }));

    let shown = json!({
        "id": sent["id"], "conversation_id": id, "sender_id": "u_42", "body": first["body"],
        "message_type": "text", "media_url": null, "reply_to": null, "created_at": sent["created_at"],
        "edited_at": null, "deleted_at": null,
    });
    let history = call(Request::get(path("messages?limit=50"))).await["messages"].take();
    assert_eq!(history.as_array().unwrap().len(), 1);
    assert_has(&history[0], &shown);
    let reply = json!({
        "sender_id": "driver_3", "body": "On my way", "reply_to": sent["id"], "receiver_id": "u_42",
    });
    let replied = call(Request::post(path("messages"), &reply)).await["message"].take();
    assert_has(&replied, &json!({ "message_type": "text", "reply_to": sent["id"], "body": "On my way" }));
    channel.next("message").await;
    let before = path(&format!("messages?before={}", replied["created_at"].as_str().unwrap()));
    let page = call(Request::get(before)).await["messages"].take();
    assert_eq!((page.as_array().unwrap().len(), &page[0]["id"]), (1, &sent["id"]));

    let message = path(&format!("messages/{}", sent["id"].as_str().unwrap()));
    let edit = json!({ "sender_id": "u_42", "body": "Actually, where IS my order?" });
    call(Request::patch(&message, &edit)).await;
    let event = channel.next("message").await["message"].take();
    assert_has(&event, &json!({ "id": sent["id"], "body": edit["body"], "deleted_at": null }));
    assert_time(&event["edited_at"]);
    chat.refuses(Request::delete(&message, &json!({ "sender_id": "driver_3" })), 403, NOT_SENDER).await;
    call(Request::delete(&message, &json!({ "sender_id": "u_42" }))).await;
    assert_time(&channel.next("message").await["message"]["deleted_at"]);
    let history = call(Request::get(path("messages"))).await["messages"].take();
    assert_eq!((history.as_array().unwrap().len(), &history[0]["id"]), (1, &replied["id"]));

    let typing = json!({ "sender_id": "u_42", "sender_name": "Ada" });
    call(Request::post(path("typing"), &typing)).await;
    assert_has(&channel.next("typing").await, &json!({ "senderId": "u_42" }));

    let url = images::upload(chat).await;
    assert!(url.starts_with(&format!("{}/storage/v1/object/public/chat/", setting("SUPABASE_URL"))), "{url}");
    let image = json!({ "sender_id": "u_42", "message_type": "image", "media_url": url });
    assert_has(&call(Request::post(path("messages"), &image)).await["message"], &image);

    let listed =
        call(Request::get("/v1/conversations?user_id=u_42&kind=order")).await["conversations"].take();
    assert_eq!(listed.as_array().unwrap().len(), 1);
    assert_has(&listed[0], &json!({ "id": id, "tenant_id": chat.tenant, "last_message": "[image]" }));
    assert_has(&listed[0], &order);
    assert_time(&listed[0]["last_at"]);
}

const NOT_SENDER: &str = "only the sender may change this message";

#[tokio::test]
async fn what_the_reference_says_holds_at_a_new_tenant() {
    walk(&Chat::without_messages().await).await;
}

#[tokio::test]
async fn what_the_reference_says_holds_where_others_use_tokens_and_secret_keys() {
    let chat = Chat::without_messages().await;
    TokenKey::new(&chat).await;
    chat.need_secret_key().await;
    walk(&chat).await;
}
