//! POST /v1/conversations/{id}/typing

use serde_json::json;
use support::checks::{optional_string, required_string};
use support::{Chat, Request};
use uuid::Uuid;

fn request(chat: &Chat) -> Request {
    Request::post(chat.path("typing"), &json!({ "sender_id": "ada", "sender_name": "Ada" }))
}

every_route!(request);
conversation_route!(request);
json_route!(request);

#[tokio::test]
async fn typing_answers_ok_and_stores_nothing() {
    let chat = Chat::new().await;
    let before = chat.rows().await;
    assert_eq!(chat.call(request(&chat)).await.ok(), json!({ "ok": true }));
    assert_eq!(chat.call(request(&chat).without_field("sender_name")).await.ok(), json!({ "ok": true }));
    assert_eq!(chat.rows().await, before);
}

#[tokio::test]
async fn input_is_checked_before_the_conversation() {
    let mut chat = Chat::new().await;
    chat.conversation = Uuid::new_v4().to_string();
    chat.refuses(request(&chat).without_field("sender_id"), 400, "sender_id is required").await;
}

#[tokio::test]
async fn sender_and_name_must_be_strings_of_at_most_255_characters() {
    required_string(request, "sender_id", 255).await;
    optional_string(request, "sender_name", 255).await;
}
