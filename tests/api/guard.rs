//! The guard against floods of messages: `tinychat tenants guard`.

use futures_util::future::join_all;
use serde_json::{Value, json};
use support::command_line::json as command;
use support::token_key::TokenKey;
use support::{Chat, Request, Response};

async fn guarded() -> Chat {
    let chat = Chat::without_messages().await;
    assert_eq!(command(&format!("tenants guard {} on", chat.tenant)).await["guard"], true);
    chat
}

fn message(chat: &Chat, sender: &str) -> Request {
    Request::post(chat.path("messages"), &json!({ "sender_id": sender, "body": "hi" }))
}

/// Sends this number of messages, which must all be accepted.
async fn send(chat: &Chat, sender: &str, count: usize) {
    for response in join_all((0..count).map(|_| chat.call(message(chat, sender)))).await {
        response.ok();
    }
}

/// Asserts that a response is the guard's refusal. Returns the number of seconds to wait.
fn wait(response: &Response) -> u64 {
    response.error(429, "too many messages");
    let seconds = response.header("retry-after");
    assert_eq!(response.header("ratelimit-policy"), r#""sender";q=20;w=10"#);
    assert_eq!(response.header("ratelimit"), format!(r#""sender";r=0;t={seconds}"#));
    seconds.parse().unwrap()
}

/// Makes all messages older by this number of seconds.
async fn pass(chat: &Chat, seconds: f64) {
    let age = "update tinychat.messages set created_at = created_at - $2 * interval '1 s', changed_at = changed_at - $2 * interval '1 s'
        where conversation_id = $1::text::uuid";
    chat.db.execute(age, &[&chat.conversation, &seconds]).await.unwrap();
}

#[tokio::test]
async fn the_21st_message_in_10_seconds_is_refused_until_the_first_is_older() {
    let chat = guarded().await;
    send(&chat, "ada", 1).await;
    pass(&chat, 7.0).await;
    send(&chat, "ada", 19).await;
    let rows = chat.rows().await;
    assert!((1..=3).contains(&wait(&chat.call(message(&chat, "ada")).await)));
    assert_eq!(chat.rows().await, rows);
    pass(&chat, 3.0).await;
    send(&chat, "ada", 1).await;
    assert!((4..=7).contains(&wait(&chat.call(message(&chat, "ada")).await)));
}

#[tokio::test]
async fn of_many_at_once_twenty_are_taken() {
    let chat = guarded().await;
    let responses = join_all((0..30).map(|_| chat.call(message(&chat, "ada")))).await;
    assert_eq!(responses.iter().filter(|response| response.status == 200).count(), 20);
    assert_eq!(responses.iter().filter(|response| response.status == 429).map(wait).count(), 10);
    assert_eq!(chat.rows().await["messages"].as_array().unwrap().len(), 20);
}

#[tokio::test]
async fn it_is_off_by_default_and_can_be_turned_off() {
    let chat = Chat::without_messages().await;
    send(&chat, "ada", 21).await;
    command(&format!("tenants guard {} on", chat.tenant)).await;
    wait(&chat.call(message(&chat, "ada")).await);
    assert_eq!(command(&format!("tenants guard {} off", chat.tenant)).await["guard"], false);
    send(&chat, "ada", 1).await;
}

#[tokio::test]
async fn other_senders_conversations_and_tenants_are_not_concerned() {
    let (mut chat, other) = (guarded().await, guarded().await);
    send(&chat, "ada", 20).await;
    send(&chat, "bob", 1).await;
    send(&other, "ada", 1).await;
    let first = chat.conversation.clone();
    chat.conversation = chat.converse(&["ada"]).await;
    send(&chat, "ada", 1).await;
    chat.conversation = first;
    wait(&chat.call(message(&chat, "ada")).await);
}

#[tokio::test]
async fn secret_keys_are_exempt_and_user_tokens_are_not() {
    let chat = guarded().await;
    let key = TokenKey::new(&chat).await;
    send(&chat, "ada", 20).await;
    for token in [key.token("ada"), key.token_as("ada", "support")] {
        wait(&chat.call(message(&chat, "ada").with_key(token)).await);
    }
    for _ in 0..21 {
        chat.call(message(&chat, "ada").with_secret_key()).await.ok();
    }
}

#[tokio::test]
async fn repeats_neither_count_nor_are_refused() {
    let chat = guarded().await;
    let once = message(&chat, "ada").with_field("client_message_id", "c1");
    let first = chat.call(once.clone()).await.ok();
    for _ in 0..21 {
        assert_eq!(chat.call(once.clone()).await.ok(), first);
    }
    send(&chat, "ada", 19).await;
    wait(&chat.call(message(&chat, "ada")).await);
    assert_eq!(chat.call(once).await.ok(), first);
}

#[tokio::test]
async fn deleting_makes_no_room() {
    let chat = guarded().await;
    send(&chat, "ada", 20).await;
    for message in chat.history("").await {
        let path = chat.path(&format!("messages/{}", message["id"].as_str().unwrap()));
        chat.call(Request::delete(path, &json!({ "sender_id": "ada" }))).await.ok();
    }
    wait(&chat.call(message(&chat, "ada")).await);
    assert_eq!(chat.history("").await, [] as [Value; 0]);
    pass(&chat, 10.0).await;
    send(&chat, "ada", 1).await;
}

#[tokio::test]
async fn what_is_wrong_with_a_message_is_told_before_that_there_are_too_many() {
    let chat = guarded().await;
    send(&chat, "ada", 20).await;
    let bad = message(&chat, "ada").with_field("reply_to", "m_1");
    chat.refuses(bad, 400, "reply_to is not a message in this conversation").await;
    chat.update(&json!({ "status": "closed" })).await;
    chat.refuses(message(&chat, "ada"), 403, "conversation is closed").await;
}
