//! PATCH /v1/conversations/{id}/messages/{msgId}

use futures_util::future::join_all;
use serde_json::json;
use support::checks::required_string;
use support::{Chat, Request, assert_keys, assert_time};

fn request(chat: &Chat) -> Request {
    Request::patch(chat.message_path(), &json!({ "sender_id": "ada", "body": "edited" }))
}

every_route!(request);
conversation_route!(request);
json_route!(request);
message_route!(request);

#[tokio::test]
async fn an_edit_changes_the_body_and_the_times_of_the_edit_and_nothing_else() {
    let chat = Chat::new().await;
    let response = chat.call(request(&chat)).await.ok();
    assert_keys(&response, &["message"]);
    let mut expected = chat.message.clone();
    expected["body"] = json!("edited");
    for time in ["edited_at", "updated_at"] {
        expected[time] = response["message"]["edited_at"].clone();
    }
    assert_eq!(response["message"], expected);
    assert_time(&expected["edited_at"]);
    assert!(expected["edited_at"].as_str() > expected["created_at"].as_str());
    expected.as_object_mut().unwrap().remove("receiver_id");
    assert_eq!(chat.history("").await, [expected]);
}

#[tokio::test]
async fn a_deleted_message_answers_404() {
    let chat = Chat::new().await;
    chat.call(Request::delete(chat.message_path(), &json!({ "sender_id": "ada" }))).await.ok();
    chat.refuses(request(&chat), 404, "message not found").await;
}

#[tokio::test]
async fn sender_and_body_must_be_strings_of_some_length() {
    required_string(request, "sender_id", 255).await;
    required_string(request, "body", 10_000).await;
}

#[tokio::test]
async fn the_longest_body_is_taken() {
    let chat = Chat::new().await;
    let longest = "💬".repeat(10_000);
    let response = chat.call(request(&chat).with_field("body", longest.clone())).await.ok();
    assert_eq!(response["message"]["body"], longest);
}

#[tokio::test]
async fn of_ten_concurrent_edits_all_succeed_and_one_stays() {
    let chat = Chat::new().await;
    let edits = (0..10).map(|n| chat.call(request(&chat).with_field("body", format!("edit {n}"))));
    let responses: Vec<_> =
        join_all(edits).await.iter().map(|response| response.ok()["message"].take()).collect();
    let stays = &chat.history("").await[0];
    assert!(
        responses
            .iter()
            .any(|response| response["body"] == stays["body"] && response["edited_at"] == stays["edited_at"])
    );
}
