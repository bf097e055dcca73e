//! Retries of a statement whose connection ends, or that Postgres cancels. The change must happen once and be broadcast once.

use crate::cloud::{assert_silent, listen, superuser};
use crate::wire::{Cut, Wire};
use serde_json::{Value, json};
use std::time::Duration;
use support::lambda::event_of;
use support::{Channel, Chat, Function, Request};
use tokio::time::sleep;
use uuid::Uuid;

const CUTS: [Cut; 2] = [Cut::BeforeExecution, Cut::AfterCommit];

/// A warm process of a function, connected through a [`Wire`].
struct Warm {
    function: &'static str,
    process: Function,
    wire: Wire,
}

impl Warm {
    async fn start(chat: &Chat, function: &'static str) -> Self {
        let wire = Wire::new().await;
        let settings = [("DATABASE_URL", wire.database_url.as_str()), ("REALTIME_INBOX", "true")];
        let process = Function::start(function, &settings).await;
        let mut warm = Self { function, process, wire };
        // This opens the connection.
        let unknown =
            Request::post("/v1/", &json!({})).with_key(format!("pk_test_{}", Uuid::new_v4().simple()));
        assert_eq!(warm.process.call(event_of(function, chat, &unknown)).await.0, 401);
        warm
    }

    /// Asserts that there has been no further broadcast.
    async fn assert_silent(&mut self, channel: &mut Channel) {
        self.process.settle().await;
        assert_silent(channel).await;
    }

    /// Makes a request whose connection is cut. Returns the response.
    async fn cut(&mut self, cut: Cut, chat: &Chat, request: &Request) -> Value {
        self.wire.wait_until_quiet().await;
        self.wire.cut(cut);
        let (status, response) = self.process.call(event_of(self.function, chat, request)).await;
        assert_eq!(status, 200, "{} with {cut:?}: {response}", self.function);
        assert!(self.wire.has_cut());
        response
    }
}

#[tokio::test]
async fn a_send_is_stored_and_broadcast_once() {
    let chat = Chat::new().await;
    let mut channel = listen(&chat).await;
    let mut warm = Warm::start(&chat, "send-message").await;
    for cut in CUTS {
        for client_message_id in [Value::Null, json!(format!("{cut:?}"))] {
            let message = json!({ "sender_id": "ada", "body": "hi", "client_message_id": client_message_id });
            let request = Request::post(chat.path("messages"), &message);
            let before = chat.history("").await;
            let sent = warm.cut(cut, &chat, &request).await;
            assert_eq!(channel.next("message").await, sent);
            warm.assert_silent(&mut channel).await;
            let after = chat.history("").await;
            assert_eq!(after.len(), before.len() + 1);
            assert_eq!(after.last().unwrap()["id"], sent["message"]["id"]);
        }
    }
}

#[tokio::test]
async fn an_edit_is_broadcast_once() {
    let chat = Chat::new().await;
    let mut channel = listen(&chat).await;
    let mut warm = Warm::start(&chat, "edit-message").await;
    for cut in CUTS {
        let text = format!("{cut:?}");
        let request = Request::patch(chat.message_path(), &json!({ "sender_id": "ada", "body": text }));
        let edited = warm.cut(cut, &chat, &request).await;
        assert_eq!(edited["message"]["body"], text);
        assert_eq!(channel.next("message").await, edited);
        warm.assert_silent(&mut channel).await;
    }
}

#[tokio::test]
async fn a_delete_is_broadcast_once() {
    let mut chat = Chat::new().await;
    let mut channel = listen(&chat).await;
    let mut warm = Warm::start(&chat, "delete-message").await;
    for cut in CUTS {
        chat.message = chat.send("ada", "unwanted").await;
        assert_eq!(channel.next("message").await["message"], chat.message);
        let request = Request::delete(chat.message_path(), &json!({ "sender_id": "ada" }));
        let deleted = warm.cut(cut, &chat, &request).await;
        assert_eq!(channel.next("message").await, deleted, "{cut:?}");
        let again = warm.process.call(event_of(warm.function, &chat, &request)).await;
        assert_eq!(again, (200, deleted));
        warm.assert_silent(&mut channel).await;
    }
}

#[tokio::test]
async fn a_change_of_a_conversation_is_broadcast_once() {
    let chat = Chat::new().await;
    chat.need_secret_key().await;
    let mut channel = listen(&chat).await;
    let mut warm = Warm::start(&chat, "update-conversation").await;
    for (cut, status) in CUTS.into_iter().zip(["closed", "open"]) {
        let path = format!("/v1/conversations/{}", chat.conversation);
        let request = Request::patch(path, &json!({ "status": status })).with_secret_key();
        let changed = warm.cut(cut, &chat, &request).await;
        assert_eq!(changed["conversation"]["status"], status);
        assert_eq!(channel.next("conversation").await, changed, "{cut:?}");
        let again = warm.process.call(event_of(warm.function, &chat, &request)).await;
        assert_eq!(again, (200, changed));
        warm.assert_silent(&mut channel).await;
    }
}

#[tokio::test]
async fn a_removed_participant_receives_the_change_once() {
    for cut in CUTS {
        let chat = Chat::new().await;
        chat.need_secret_key().await;
        let mut inbox = Channel::join_inbox(&chat.register("bob").await).await;
        let mut warm = Warm::start(&chat, "update-conversation").await;
        let path = format!("/v1/conversations/{}", chat.conversation);
        let request = Request::patch(path, &json!({ "remove_participants": ["bob"] })).with_secret_key();
        let changed = warm.cut(cut, &chat, &request).await;
        assert_eq!(inbox.next("conversation").await, changed, "{cut:?}");
        warm.assert_silent(&mut inbox).await;
    }
}

#[tokio::test]
async fn typing_is_broadcast_once() {
    let chat = Chat::new().await;
    let mut channel = listen(&chat).await;
    let mut warm = Warm::start(&chat, "send-typing").await;
    for cut in CUTS {
        let request = Request::post(chat.path("typing"), &json!({ "sender_id": "ada" }));
        warm.cut(cut, &chat, &request).await;
        assert_eq!(channel.next("typing").await["senderId"], "ada");
        warm.assert_silent(&mut channel).await;
    }
}

#[tokio::test]
async fn a_conversation_is_created_and_broadcast_once() {
    let chat = Chat::new().await;
    let mut inbox = Channel::join_inbox(&chat.register("eve").await).await;
    let mut warm = Warm::start(&chat, "create-conversation").await;
    for cut in CUTS {
        for external_ref in [Value::Null, json!(format!("{cut:?}"))] {
            let conversation =
                json!({ "kind": "order", "external_ref": external_ref, "participants": ["ada", "eve"] });
            let before = chat.conversations_of("ada").await;
            let created = warm.cut(cut, &chat, &Request::post("/v1/conversations", &conversation)).await;
            let after = chat.conversations_of("ada").await;
            assert_eq!(after.len(), before.len() + 1);
            assert!(after.iter().any(|listed| listed["id"] == created["conversation"]["id"]));
            assert_eq!(inbox.next("conversation").await, created);
            warm.assert_silent(&mut inbox).await;
        }
    }
}

#[tokio::test]
async fn a_user_is_created_once() {
    let chat = Chat::new().await;
    let mut warm = Warm::start(&chat, "upsert-user").await;
    for cut in CUTS {
        let user = json!({ "user_id": format!("{cut:?}"), "name": "Ada" });
        let created = warm.cut(cut, &chat, &Request::post("/v1/users", &user)).await;
        let rows = chat.rows().await;
        let mut stored = rows["users"].as_array().unwrap().iter();
        let stored: Vec<_> = stored.by_ref().filter(|row| row["user_id"] == user["user_id"]).collect();
        assert_eq!(stored.len(), 1, "{cut:?}");
        assert_eq!(stored[0]["id"], created["user"]["id"]);
    }
}

#[tokio::test]
async fn a_statement_that_a_deadlock_cancels_is_retried() {
    let chat = Chat::new().await;
    let (participants, conversation) = (
        "update tinychat.participants set active_at = active_at where conversation_id = $1::text::uuid",
        "update tinychat.conversations set last_at = last_at where id = $1::text::uuid",
    );
    let other = superuser().await;
    // Postgres cancels the statement of the backend that detects the deadlock. Here that is the function's, after a second.
    other.batch_execute("set deadlock_timeout = '1min'; begin").await.unwrap();
    other.execute(participants, &[&chat.conversation]).await.unwrap();
    let sent = async { chat.send("ada", "after all").await };
    let deadlock = async {
        let waits = "select exists (select from pg_locks where not granted)";
        while !superuser().await.query_one(waits, &[]).await.unwrap().get::<_, bool>(0) {
            sleep(Duration::from_millis(10)).await;
        }
        other.execute(conversation, &[&chat.conversation]).await.unwrap();
        other.batch_execute("commit").await.unwrap();
    };
    let (sent, ()) = tokio::join!(sent, deadlock);
    assert_eq!(chat.history("").await.last().unwrap()["id"], sent["id"]);
}
