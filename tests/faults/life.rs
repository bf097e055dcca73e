//! Concurrent changes of a conversation: participants are added and removed, and it is closed while users write.

use futures_util::future::join_all;
use serde_json::{Value, json};
use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::time::Duration;
use support::{Chat, Request, Response};
use tokio::time::sleep;

/// The number of concurrent clients that change a conversation's participants, and of the changes that each makes.
const CHANGERS: u64 = 6;
const CHANGES: usize = 25;

/// The number of times that a conversation is closed and opened again.
const CLOSURES: usize = 12;

const USERS: [&str; 6] = ["bob", "carl", "dan", "eve", "fay", "gus"];

/// A change of participants, and the conversation in its response.
struct Change {
    add: Vec<&'static str>,
    remove: Vec<&'static str>,
    response: Value,
}

impl Change {
    fn at(&self) -> &str {
        self.response["updated_at"].as_str().unwrap()
    }

    /// Returns the participants after this change.
    fn applied_to(&self, before: &[String]) -> Vec<String> {
        let stays =
            |user: &&String| self.add.contains(&user.as_str()) || !self.remove.contains(&user.as_str());
        let mut after: Vec<_> = before.iter().filter(stays).cloned().collect();
        let new = self.add.iter().map(|user| (*user).to_owned());
        after.extend(new.filter(|user| !before.contains(user)));
        after
    }
}

fn participants(conversation: &Value) -> Vec<String> {
    serde_json::from_value(conversation["participants"].clone()).unwrap()
}

/// Makes random changes of participants, one after another.
async fn change(chat: &Chat, seed: u64) -> Vec<Change> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut changes = Vec::new();
    for _ in 0..CHANGES {
        let mut some = |most: usize| rng.choose_multiple(USERS, most);
        let (add, remove) = (some(2), some(3));
        let response = chat.update(&json!({ "add_participants": add, "remove_participants": remove })).await;
        changes.push(Change { add, remove, response });
    }
    changes
}

/// Sends and marks as read until it is stopped. A request may fail only because the user isn't a participant.
async fn send_and_read(chat: &Chat, user: &str, stop: &Cell<bool>) {
    let read = Request::post(chat.path("read"), &json!({ "user_id": user }));
    while !stop.get() {
        chat.send(user, "hello").await;
        let response = chat.call(read.clone()).await;
        if response.status != 200 {
            response.error(403, "user is not a participant");
        }
    }
}

/// Asserts that the rows of participants, the conversation's list and its members have the expected users.
async fn assert_participants(chat: &Chat, expected: &[String]) {
    let rows = chat.rows().await;
    let rows: BTreeSet<_> =
        rows["participants"].as_array().unwrap().iter().map(|row| row["user_id"].as_str().unwrap()).collect();
    assert_eq!(rows, expected.iter().map(String::as_str).collect());
    let response = chat.call(Request::get(format!("/v1/conversations/{}", chat.conversation))).await.ok();
    assert_eq!(participants(&response["conversation"]), expected);
    assert_eq!(response["conversation"]["members"].as_array().unwrap().len(), expected.len());
}

/// Concurrent changes must have the same result as the same changes one after another, in the order of their times.
#[tokio::test]
async fn participants_end_as_the_history_of_changes_says() {
    let chat = Chat::new().await;
    let stop = Cell::new(false);
    let changers = async {
        let changes = join_all((0..CHANGERS).map(|n| change(&chat, n))).await;
        stop.set(true);
        changes.into_iter().flatten().collect::<Vec<_>>()
    };
    let users = join_all(["ada", "bob", "carl"].map(|user| send_and_read(&chat, user, &stop)));
    let (mut history, _) = tokio::join!(changers, users);

    // A request that changes nothing has the time of the last message or of the last change.
    history.sort_by(|one, other| one.at().cmp(other.at()));
    let mut state = vec!["ada".to_owned(), "bob".to_owned()];
    let mut times = BTreeSet::new();
    for group in history.chunk_by(|one, other| one.at() == other.at()) {
        let after = participants(&group[0].response);
        if after != state {
            // One of these requests has made the change, and the others have changed nothing.
            assert!(times.insert(group[0].at()));
            assert!(group.iter().any(|change| change.applied_to(&state) == after), "{state:?} to {after:?}");
        }
        for change in group {
            assert_eq!(participants(&change.response), after);
            assert_eq!(change.applied_to(&after), after);
        }
        state = after;
    }
    assert!(times.len() > CHANGES, "only {} requests changed anything", times.len());
    assert_participants(&chat, &state).await;
}

/// The results of the senders.
#[derive(Default)]
struct Results {
    /// The times of their messages and edits.
    sent: RefCell<Vec<Value>>,
    refused: Cell<usize>,
    stop: Cell<bool>,
}

impl Results {
    /// Sends and edits with the publishable key until it is stopped.
    async fn write(&self, chat: &Chat, sender: &str) {
        let body = json!({ "sender_id": sender, "body": "hello" });
        let mut path = chat.path("messages/none");
        while !self.stop.get() {
            let response = chat.call(Request::post(chat.path("messages"), &body)).await;
            if let Some(message) = self.message(&response) {
                path = chat.path(&format!("messages/{}", message["id"].as_str().unwrap()));
                self.sent.borrow_mut().push(message["created_at"].clone());
            } else if path.ends_with("none") {
                continue;
            }
            if let Some(message) = self.message(&chat.call(Request::patch(&path, &body)).await) {
                self.sent.borrow_mut().push(message["updated_at"].clone());
            }
        }
    }

    /// Returns the message in a response. Counts the refusal if the conversation is closed.
    fn message(&self, response: &Response) -> Option<Value> {
        if response.status == 200 {
            return Some(response.json()["message"].take());
        }
        response.error(403, "conversation is closed");
        self.refused.update(|count| count + 1);
        None
    }
}

#[tokio::test]
async fn nothing_is_accepted_after_a_close_but_from_the_secret_key() {
    let chat = Chat::new().await;
    let results = Results::default();
    let closures = async {
        let mut closures = Vec::new();
        let mut from_the_tenant = Vec::new();
        for _ in 0..CLOSURES {
            sleep(Duration::from_millis(60)).await;
            let closed = chat.update(&json!({ "status": "closed" })).await;
            let system = json!({ "sender_id": "tenant", "body": "closed" });
            let sent = chat.call(Request::post(chat.path("messages"), &system).with_secret_key()).await.ok();
            from_the_tenant.push(sent["message"]["created_at"].clone());
            sleep(Duration::from_millis(40)).await;
            let opened = chat.update(&json!({ "status": "open" })).await;
            closures
                .push([closed, opened].map(|response| response["updated_at"].as_str().unwrap().to_owned()));
        }
        results.stop.set(true);
        (closures, from_the_tenant)
    };
    let writers = join_all(["ada", "bob", "eve"].map(|sender| results.write(&chat, sender)));
    let ((closures, from_the_tenant), _) = tokio::join!(closures, writers);

    let within = |time: &Value| {
        let time = time.as_str().unwrap();
        closures.iter().any(|[closed, opened]| closed.as_str() < time && time < opened.as_str())
    };
    let sent = results.sent.take();
    assert!(
        sent.len() > CLOSURES && results.refused.get() > CLOSURES,
        "{} {}",
        sent.len(),
        results.refused.get()
    );
    assert!(!sent.iter().any(within));
    assert!(from_the_tenant.iter().all(within));
    // The database has no other messages or edits from these periods, either.
    let stored = "select count(*) from tinychat.messages m
        where m.conversation_id = $1::text::uuid and m.sender_id <> 'tenant' and (
            m.created_at between $2::text::timestamptz and $3::text::timestamptz
            or m.changed_at between $2::text::timestamptz and $3::text::timestamptz)";
    for [closed, opened] in &closures {
        let row = chat.db.query_one(stored, &[&chat.conversation, closed, opened]).await.unwrap();
        assert_eq!(row.get::<_, i64>(0), 0, "messages or edits from {closed} to {opened}");
    }
}
