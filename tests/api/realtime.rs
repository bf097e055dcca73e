//! The events on a conversation's channel, received by a websocket and by supabase-js.

use serde_json::{Value, json};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use support::channel::{NEWEST, VERSIONS};
use support::{Channel, Chat, Request, setting};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

fn edit(chat: &Chat) -> Request {
    Request::patch(chat.message_path(), &json!({ "sender_id": "ada", "body": "edited" }))
}

fn delete(chat: &Chat) -> Request {
    Request::delete(chat.message_path(), &json!({ "sender_id": "ada" }))
}

fn typing(chat: &Chat) -> Request {
    Request::post(chat.path("typing"), &json!({ "sender_id": "ada", "sender_name": "Ada" }))
}

/// Creates a chat, and a listener that has received the first message.
async fn listen(version: &str) -> (Chat, Channel) {
    let mut chat = Chat::without_messages().await;
    let mut channel = Channel::join_with(&chat.conversation, version).await;
    chat.message = chat.send("ada", "hello").await;
    assert_eq!(channel.next("message").await, json!({ "message": chat.message }));
    (chat, channel)
}

#[tokio::test]
async fn sending_editing_and_deleting_broadcast_what_they_answer() {
    for version in VERSIONS {
        let (mut chat, mut channel) = listen(version).await;
        let message =
            json!({ "sender_id": "ada", "receiver_id": "bob", "body": "hi", "reply_to": chat.message["id"] });
        let sent = chat.call(Request::post(chat.path("messages"), &message)).await.ok();
        assert_eq!(channel.next("message").await, sent);
        chat.message = sent["message"].clone();
        let edited = chat.call(edit(&chat)).await.ok();
        assert_eq!(channel.next("message").await, edited);
        let deleted = chat.call(delete(&chat)).await.ok();
        assert_eq!(deleted["message"]["body"], Value::Null);
        assert_eq!(channel.next("message").await, deleted);
    }
}

#[tokio::test]
async fn typing_broadcasts_who_types() {
    for version in VERSIONS {
        let (chat, mut channel) = listen(version).await;
        chat.call(typing(&chat)).await.ok();
        assert_eq!(channel.next("typing").await, json!({ "senderId": "ada", "senderName": "Ada" }));
        chat.call(typing(&chat).without_field("sender_name")).await.ok();
        assert_eq!(channel.next("typing").await, json!({ "senderId": "ada", "senderName": null }));
    }
}

#[tokio::test]
async fn the_same_client_message_id_broadcasts_once() {
    let (chat, mut channel) = listen(NEWEST).await;
    let message = json!({ "sender_id": "ada", "body": "once", "client_message_id": "c1" });
    let request = || Request::post(chat.path("messages"), &message);
    let sent = chat.call(request()).await.ok();
    assert_eq!(channel.next("message").await, sent);
    chat.call(request()).await.ok();
    chat.settle().await;
    channel.is_silent().await;
}

#[tokio::test]
async fn deleting_again_broadcasts_nothing() {
    let (chat, mut channel) = listen(NEWEST).await;
    let deleted = chat.call(delete(&chat)).await.ok();
    assert_eq!(channel.next("message").await, deleted);
    chat.call(delete(&chat)).await.ok();
    chat.settle().await;
    channel.is_silent().await;
}

#[tokio::test]
async fn ten_concurrent_deletions_broadcast_once() {
    let (chat, mut channel) = listen(NEWEST).await;
    futures_util::future::join_all((0..10).map(|_| chat.call(delete(&chat)))).await;
    channel.next("message").await;
    chat.settle().await;
    channel.is_silent().await;
}

#[tokio::test]
async fn a_request_that_fails_broadcasts_nothing() {
    let (chat, mut channel) = listen(NEWEST).await;
    let stranger = Chat::new().await;
    let send = Request::post(chat.path("messages"), &json!({ "sender_id": "ada", "body": "hi" }));
    for (request, status) in [
        (send.clone().without_field("body"), 400),
        (send.clone().with_field("reply_to", "m_1"), 400),
        (send.clone().without_key(), 401),
        (edit(&chat).with_field("sender_id", "bob"), 403),
        (edit(&chat).with_field("body", ""), 400),
        (delete(&chat).with_field("sender_id", "bob"), 403),
        (typing(&chat).without_field("sender_id"), 400),
        (typing(&chat).with_key("pk_"), 401),
    ] {
        assert_eq!(chat.call(request).await.status, status);
    }
    for request in [send, edit(&chat), delete(&chat), typing(&chat)] {
        assert_eq!(stranger.call(request).await.status, 404);
    }
    chat.settle().await;
    stranger.settle().await;
    channel.is_silent().await;
}

#[tokio::test]
async fn other_conversations_hear_nothing() {
    let chat = Chat::new().await;
    let mut elsewhere = Channel::join(&chat.converse(&["ada"]).await).await;
    chat.send("ada", "hi").await;
    chat.call(typing(&chat)).await.ok();
    chat.settle().await;
    elsewhere.is_silent().await;
}

/// supabase-js in Node.js, running a program of tests/node.
pub struct SupabaseJs {
    lines: Lines<BufReader<ChildStdout>>,
    _node: Child,
}

impl SupabaseJs {
    /// Starts a program with these arguments and variables.
    pub fn start(arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("node");
        assert!(folder.join("node_modules").exists(), "supabase-js is not installed: run `make setup`");
        let mut node = Command::new("node")
            .args(arguments)
            .current_dir(folder)
            .env("API_URL", setting("API_URL"))
            .envs(variables.iter().copied())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("node");
        let lines = BufReader::new(node.stdout.take().unwrap()).lines();
        Self { lines, _node: node }
    }

    /// Follows a conversation as the API reference shows.
    async fn subscribe(chat: &Chat, version: &str) -> Self {
        let arguments = ["realtime.mjs", &chat.conversation, version];
        let mut client = Self::start(&arguments, &[("API_KEY", &chat.key)]);
        assert_eq!(client.next().await, json!({ "status": "SUBSCRIBED" }));
        client
    }

    /// Returns the next line of output.
    pub async fn next(&mut self) -> Value {
        let line = tokio::time::timeout(Duration::from_secs(15), self.lines.next_line()).await;
        let line = line.expect("the program must print a line in time").unwrap().expect("the program ended");
        serde_json::from_str(&line).unwrap()
    }

    /// Asserts that it prints nothing for a while.
    pub async fn is_silent(&mut self) {
        let line = tokio::time::timeout(Duration::from_millis(500), self.lines.next_line()).await;
        assert!(line.is_err(), "{line:?}");
    }
}

async fn supabase_js_sees_every_event(version: &str) {
    let mut chat = Chat::without_messages().await;
    let mut client = SupabaseJs::subscribe(&chat, version).await;
    let body = json!({ "sender_id": "ada", "body": "Grüße 💬" });
    let sent = chat.call(Request::post(chat.path("messages"), &body)).await.ok();
    assert_eq!(client.next().await, json!({ "event": "message", "payload": sent }));
    chat.message = sent["message"].clone();
    for request in [edit(&chat), delete(&chat)] {
        let response = chat.call(request).await.ok();
        assert_eq!(client.next().await, json!({ "event": "message", "payload": response }));
    }
    chat.call(typing(&chat)).await.ok();
    let payload = json!({ "senderId": "ada", "senderName": "Ada" });
    assert_eq!(client.next().await, json!({ "event": "typing", "payload": payload }));
}

#[tokio::test]
async fn supabase_js_sees_every_event_by_protocol_1() {
    supabase_js_sees_every_event("1.0.0").await;
}

#[tokio::test]
async fn supabase_js_sees_every_event_by_protocol_2() {
    supabase_js_sees_every_event("2.0.0").await;
}
