//! GET /v1/conversations/{id}/messages?since=…: the messages sent, edited or deleted since a time.

use futures_util::future::join_all;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use support::{Chat, Request, assert_keys};
use uuid::Uuid;

const BEGINNING: &str = "2020-01-01T00:00:00Z";

/// Returns a page of changes, and whether there are more.
async fn page(chat: &Chat, since: &str, limit: usize) -> (Vec<Value>, bool) {
    let path = chat.path(&format!("messages?since={since}&limit={limit}"));
    let mut response = chat.call(Request::get(path)).await.ok();
    assert_keys(&response, &["messages", "more"]);
    let messages: Vec<Value> = serde_json::from_value(response["messages"].take()).unwrap();
    assert!(messages.len() <= limit);
    (messages, response["more"].as_bool().unwrap())
}

fn updated_at(message: &Value) -> &str {
    message["updated_at"].as_str().unwrap()
}

/// A client that knows a conversation only from its changes.
struct Follower {
    since: String,
    messages: BTreeMap<String, Value>,
}

impl Follower {
    fn new() -> Self {
        Self { since: BEGINNING.to_owned(), messages: BTreeMap::new() }
    }

    /// Requests changes until there are no more.
    async fn catch_up(&mut self, chat: &Chat, limit: usize) {
        loop {
            let (messages, more) = page(chat, &self.since, limit).await;
            assert!(!messages.is_empty() || !more, "a page that is empty and not the last");
            for message in messages {
                assert!(updated_at(&message) > self.since.as_str(), "times strictly increase");
                updated_at(&message).clone_into(&mut self.since);
                self.messages.insert(message["id"].as_str().unwrap().to_owned(), message);
            }
            if !more {
                return;
            }
        }
    }

    /// Returns the ids and texts of the messages that aren't deleted, as the client knows them.
    fn shown(&self) -> BTreeMap<String, String> {
        let visible = self.messages.iter().filter(|(_, message)| message["deleted_at"].is_null());
        visible.map(|(id, message)| (id.clone(), message["body"].as_str().unwrap().to_owned())).collect()
    }
}

/// Returns the ids and texts of the messages that aren't deleted, from the database.
async fn stored(chat: &Chat) -> BTreeMap<String, String> {
    let sql =
        "select id::text, body from tinychat.messages where conversation_id = $1 and deleted_at is null";
    let conversation: Uuid = chat.conversation.parse().unwrap();
    let rows = chat.db.query(sql, &[&conversation]).await.unwrap();
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}

/// Asserts that a client that reads all changes, in pages of any size, knows what is stored.
async fn is_followed(chat: &Chat) {
    let stored = stored(chat).await;
    for limit in [1, 7, 200] {
        let mut follower = Follower::new();
        follower.catch_up(chat, limit).await;
        assert!(follower.shown() == stored, "limit {limit}: {:?}, {stored:?}", follower.shown());
    }
}

async fn edit(chat: &Chat, message: &Value, body: &str) -> Value {
    let path = chat.path(&format!("messages/{}", message["id"].as_str().unwrap()));
    let request = Request::patch(path, &json!({ "sender_id": message["sender_id"], "body": body }));
    chat.call(request).await.ok()["message"].take()
}

async fn delete(chat: &Chat, message: &Value) -> Value {
    let path = chat.path(&format!("messages/{}", message["id"].as_str().unwrap()));
    let request = Request::delete(path, &json!({ "sender_id": message["sender_id"] }));
    chat.call(request).await.ok()["message"].take()
}

#[tokio::test]
async fn each_message_comes_once_as_it_is_now_at_its_last_change() {
    let chat = Chat::new().await;
    let second = chat.send("bob", "second").await;
    let third = chat.send("ada", "third").await;
    edit(&chat, &second, "edited").await;
    let deleted = delete(&chat, &chat.message).await;
    let edited = edit(&chat, &second, "edited again").await;
    let fourth = chat.send("bob", "fourth").await;
    let expected: Vec<_> = [third.clone(), deleted, edited, fourth]
        .into_iter()
        .map(|mut message| {
            message.as_object_mut().unwrap().remove("receiver_id");
            message
        })
        .collect();
    assert_eq!(page(&chat, BEGINNING, 50).await, (expected.clone(), false));
    assert_eq!(page(&chat, updated_at(&third), 50).await, (expected[1..].to_vec(), false));
    assert_eq!(page(&chat, updated_at(&third), 2).await, (expected[1..3].to_vec(), true));
    assert_eq!(page(&chat, updated_at(&expected[3]), 50).await, (Vec::new(), false));
}

#[tokio::test]
async fn a_conversation_is_updated_by_every_change() {
    let chat = Chat::new().await;
    let of_conversation = async || chat.conversations_of("ada").await[0]["updated_at"].clone();
    assert_eq!(of_conversation().await, chat.message["updated_at"]);
    let edited = edit(&chat, &chat.message, "edited").await;
    assert_eq!(of_conversation().await, edited["updated_at"]);
    let deleted = delete(&chat, &chat.message).await;
    assert_eq!(of_conversation().await, deleted["updated_at"]);
    assert_eq!(chat.conversations_of("ada").await[0]["last_at"], chat.message["created_at"]);
}

#[tokio::test]
async fn followers_miss_nothing_of_what_eight_writers_do_at_once() {
    let chat = Chat::without_messages().await;
    let writing = AtomicBool::new(true);
    let follow = async |limit: usize| {
        let mut follower = Follower::new();
        while writing.load(Ordering::Relaxed) {
            follower.catch_up(&chat, limit).await;
        }
        follower.catch_up(&chat, limit).await;
        follower
    };
    let write = async |writer: usize| {
        let mut times = Vec::new();
        let mut mine = Vec::new();
        for n in 0..40 {
            let change = match (n + writer) % 4 {
                2 => edit(&chat, &mine[mine.len() / 2], &format!("{writer}: edit {n}")).await,
                3 => delete(&chat, &mine.pop().unwrap()).await,
                _ => {
                    mine.push(chat.send(&format!("writer {writer}"), &format!("{writer}: {n}")).await);
                    mine.last().unwrap().clone()
                }
            };
            times.push(updated_at(&change).to_owned());
        }
        times
    };
    let writers = async {
        let times: Vec<_> =
            join_all([0, 1, 4, 5, 8, 9, 12, 13].map(write)).await.into_iter().flatten().collect();
        writing.store(false, Ordering::Relaxed);
        times
    };
    let (mut times, followers) = tokio::join!(writers, join_all([1, 3, 200].map(follow)));
    let stored = stored(&chat).await;
    for follower in &followers {
        assert!(follower.shown() == stored);
    }
    times.sort_unstable();
    assert!(times.is_sorted_by(|earlier, later| earlier < later), "no two changes have the same time");
    is_followed(&chat).await;
}

#[tokio::test]
async fn a_long_run_of_edited_messages_is_paged_through() {
    let chat = Chat::new().await;
    for n in 0..30 {
        chat.send("ada", &n.to_string()).await;
    }
    chat.db
        .execute(
            "update tinychat.messages set body = body || '!' where sender_id = 'ada'
        and conversation_id = $1::text::uuid",
            &[&chat.conversation],
        )
        .await
        .unwrap();
    chat.send("bob", "the last").await;
    is_followed(&chat).await;
}

/// Functions of the release before this API change messages without the conversation's clock. Operators may do so, too.
#[tokio::test]
async fn changes_of_the_last_release_are_found() {
    let chat = Chat::new().await;
    let second = chat.send("bob", "second").await;
    let mut follower = Follower::new();
    follower.catch_up(&chat, 50).await;
    let id = |message: &Value| message["id"].as_str().unwrap().to_owned();
    let edit_sql = "update tinychat.messages set body = 'edited', edited_at = tinychat.now_ms() where id = $1::text::uuid";
    chat.db.execute(edit_sql, &[&id(&chat.message)]).await.unwrap();
    let delete_sql = "update tinychat.messages set deleted_at = tinychat.now_ms() where id = $1::text::uuid";
    chat.db.execute(delete_sql, &[&id(&second)]).await.unwrap();
    follower.catch_up(&chat, 50).await;
    assert_eq!(follower.shown().into_values().collect::<Vec<_>>(), ["edited"]);
    // A send of that release may have the same time as an edit.
    let send = "with clock as (
            select id, changed_at as at from tinychat.conversations where id = $1::text::uuid
        ), message as (
            insert into tinychat.messages (conversation_id, id, sender_id, body, message_type, created_at)
            select id, gen_random_uuid(), 'bob', 'third', 'text', at from clock
        )
        select id, at from clock";
    chat.db.execute(send, &[&chat.conversation]).await.unwrap();
    let move_on = "update tinychat.conversations set last_at = changed_at where id = $1::text::uuid";
    chat.db.execute(move_on, &[&chat.conversation]).await.unwrap();
    follower.catch_up(&chat, 50).await;
    let mut shown: Vec<_> = follower.shown().into_values().collect();
    shown.sort_unstable();
    assert_eq!(shown, ["edited", "third"]);
    is_followed(&chat).await;
}

#[tokio::test]
async fn a_page_of_the_longest_changes_stops_at_5_mb_and_tells_that_there_are_more() {
    let chat = Chat::without_messages().await;
    let send = "insert into tinychat.messages
            (conversation_id, id, sender_id, body, message_type, created_at)
        select $1, gen_random_uuid(), 'ada', repeat('💬', 10000), 'text', date_trunc('second', now()) + n * interval '1 ms'
        from generate_series(1, 150) n";
    chat.db.execute(send, &[&chat.conversation.parse::<Uuid>().unwrap()]).await.unwrap();
    let (messages, more) = page(&chat, BEGINNING, 200).await;
    assert!(more && messages.len() < 130, "{}", messages.len());
    let mut follower = Follower::new();
    follower.catch_up(&chat, 200).await;
    assert_eq!(follower.messages.len(), 150);
}

#[tokio::test]
async fn a_bad_since_answers_400() {
    let chat = Chat::new().await;
    for since in ["", "yesterday", "1768472481412", "2026-13-01T00:00:00Z", "%00"] {
        let request = Request::get(chat.path(&format!("messages?since={since}")));
        chat.refuses(request, 400, "since must be an ISO-8601 time").await;
    }
    let both = Request::get(chat.path(&format!("messages?since={BEGINNING}&before={BEGINNING}")));
    chat.refuses(both.clone(), 400, "before and since must not be used together").await;
    chat.refuses(both.with_key("pk_"), 401, "invalid api key").await;
}
