//! POST /v1/conversations/{id}/read

use futures_util::future::join_all;
use serde_json::{Value, json};
use support::checks::required_string;
use support::{Channel, Chat, Request, assert_keys, assert_time};
use uuid::Uuid;

fn request(chat: &Chat) -> Request {
    Request::post(chat.path("read"), &json!({ "user_id": "bob" }))
}

every_route!(request);
conversation_route!(request);
json_route!(request);

/// Marks everything as read, or everything up to a message. Returns the cursor.
async fn mark(chat: &Chat, user: &str, message: Option<&Value>) -> Value {
    let body = json!({ "user_id": user, "message_id": message.map(|message| &message["id"]) });
    chat.call(Request::post(chat.path("read"), &body)).await.ok()["read"].take()
}

async fn unread(chat: &Chat, user: &str) -> Value {
    chat.conversations_of(user).await[0]["unread_count"].clone()
}

#[tokio::test]
async fn everything_is_read_and_the_cursor_is_answered() {
    let chat = Chat::new().await;
    let newest = chat.send("ada", "second").await;
    let response = chat.call(request(&chat)).await.ok();
    assert_keys(&response, &["read"]);
    let expected = json!({
        "conversation_id": chat.conversation, "user_id": "bob", "read_at": newest["created_at"], "unread_count": 0,
    });
    assert_eq!(response["read"], expected);
}

#[tokio::test]
async fn up_to_a_message_leaves_what_is_later_unread() {
    let chat = Chat::new().await;
    let second = chat.send("ada", "second").await;
    for body in ["third", "fourth"] {
        chat.send("ada", body).await;
    }
    let read = mark(&chat, "bob", Some(&second)).await;
    assert_eq!((&read["read_at"], &read["unread_count"]), (&second["created_at"], &json!(2)));
    assert_eq!(unread(&chat, "bob").await, 2);
    assert_eq!(unread(&chat, "ada").await, 0);
}

#[tokio::test]
async fn who_takes_part_has_read_everything_before() {
    let chat = Chat::without_messages().await;
    let read = mark(&chat, "bob", None).await;
    assert_time(&read["read_at"]);
    assert_eq!(read["unread_count"], 0);
}

#[tokio::test]
async fn the_cursor_never_moves_back() {
    let chat = Chat::new().await;
    let newest = chat.send("ada", "second").await;
    mark(&chat, "bob", None).await;
    let read = mark(&chat, "bob", Some(&chat.message)).await;
    assert_eq!(read["read_at"], newest["created_at"]);
}

#[tokio::test]
async fn the_cursor_never_moves_back_under_concurrent_marks_and_sends() {
    let chat = Chat::new().await;
    let mut messages = Vec::new();
    for n in 0..20 {
        messages.push(chat.send("ada", &n.to_string()).await);
    }
    let own = async {
        for _ in 0..5 {
            chat.send("bob", "mine").await;
        }
    };
    let watched = async {
        let mut seen = Vec::new();
        for _ in 0..40 {
            seen.push(mark(&chat, "bob", Some(&chat.message)).await["read_at"].as_str().unwrap().to_owned());
        }
        seen
    };
    let marks = join_all(messages.iter().rev().map(|message| mark(&chat, "bob", Some(message))));
    let (marks, (), seen) = tokio::join!(marks, own, watched);
    for (mark, message) in marks.iter().zip(messages.iter().rev()) {
        assert!(mark["read_at"].as_str() >= message["created_at"].as_str());
    }
    assert!(seen.is_sorted(), "{seen:?}");
}

#[tokio::test]
async fn sending_moves_ones_own_cursor_and_nobody_elses() {
    let chat = Chat::new().await;
    assert_eq!(unread(&chat, "bob").await, 1);
    let mine = chat.send("bob", "second").await;
    assert_eq!((unread(&chat, "bob").await, unread(&chat, "ada").await), (json!(0), json!(1)));
    assert_eq!(mark(&chat, "bob", None).await["read_at"], mine["created_at"]);
}

#[tokio::test]
async fn a_cursor_that_moved_is_broadcast_and_one_that_stayed_is_not() {
    let chat = Chat::without_messages().await;
    let mut channel = Channel::join(&chat.conversation).await;
    chat.send("ada", "hello").await;
    channel.next("message").await;
    let mut read = mark(&chat, "bob", None).await;
    read.as_object_mut().unwrap().remove("unread_count");
    assert_eq!(channel.next("read").await, json!({ "read": read }));
    mark(&chat, "bob", None).await;
    mark(&chat, "ada", None).await;
    chat.settle().await;
    channel.is_silent().await;
}

#[tokio::test]
async fn a_message_of_another_conversation_answers_400() {
    let mut chat = Chat::new().await;
    let (first, foreign) = (chat.conversation.clone(), Chat::new().await);
    chat.conversation = chat.converse(&["ada", "bob"]).await;
    let elsewhere = chat.send("ada", "elsewhere").await;
    chat.conversation = first;
    let unknown = Uuid::new_v4().to_string();
    for id in [&elsewhere["id"], &foreign.message["id"], &json!(unknown), &json!("m_1")] {
        let request = request(&chat).with_field("message_id", id.clone());
        chat.refuses(request, 400, "message_id is not a message in this conversation").await;
    }
}

#[tokio::test]
async fn a_deleted_message_can_be_read_up_to() {
    let chat = Chat::new().await;
    chat.call(Request::delete(chat.message_path(), &json!({ "sender_id": "ada" }))).await.ok();
    assert_eq!(mark(&chat, "bob", Some(&chat.message)).await["read_at"], chat.message["created_at"]);
}

#[tokio::test]
async fn who_is_no_participant_answers_403() {
    let chat = Chat::new().await;
    chat.refuses(request(&chat).with_field("user_id", "eve"), 403, "user is not a participant").await;
}

#[tokio::test]
async fn the_fields_must_be_strings_of_some_length() {
    required_string(request, "user_id", 255).await;
    let chat = Chat::new().await;
    chat.call(request(&chat).with_field("message_id", Value::Null)).await.ok();
    let nothing = "message_id is not a message in this conversation";
    chat.refuses(request(&chat).with_field("message_id", ""), 400, nothing).await;
    chat.refuses(request(&chat).with_field("message_id", 7), 400, "message_id must be a string").await;
}
