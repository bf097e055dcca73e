//! A client that knows its conversations by `since` alone. It is away most of the time, and must know at the end exactly what is
//! stored.

use crate::client::Api;
use crate::history::{Recorder, Stored};
use reqwest::Method;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How long a follower may be away, in milliseconds, and how many changes it may ask for at once.
const AWAY: std::ops::Range<u64> = 50..8_000;
const PAGE: std::ops::Range<u64> = 1..60;

/// How often the last catching up is tried.
const TRIES: u32 = 10;

/// A follower of some conversations.
pub struct Follower {
    api: Arc<Api>,
    recorder: Arc<Recorder>,
    followed: Vec<Followed>,
}

/// A conversation as a follower knows it.
struct Followed {
    id: String,
    since: String,
    /// Each message's text, none if it was deleted.
    messages: BTreeMap<String, Option<String>>,
}

impl Follower {
    pub fn new(api: Arc<Api>, recorder: Arc<Recorder>, conversations: &[String]) -> Self {
        let followed = conversations.iter().map(|id| Followed {
            id: id.clone(),
            since: "2020-01-01T00:00:00Z".to_owned(),
            messages: BTreeMap::new(),
        });
        Self { api, recorder, followed: followed.collect() }
    }

    /// Comes and goes.
    pub async fn run(&mut self, until: Instant) {
        while Instant::now() < until {
            for followed in &mut self.followed {
                sleep(Duration::from_millis(fastrand::u64(AWAY)) / 8).await;
                followed.catch_up(&self.api, &self.recorder).await;
            }
        }
    }

    /// Catches up with everything, now that all is quiet, and tells what is known otherwise than it is stored.
    pub async fn judge(mut self, stored: &[Stored]) -> Vec<String> {
        let mut wrong = Vec::new();
        for followed in &mut self.followed {
            let mut tries = 0..TRIES;
            while !followed.catch_up(&self.api, &self.recorder).await && tries.next().is_some() {
                sleep(Duration::from_secs(1)).await;
            }
            wrong.extend(followed.compare(stored));
        }
        wrong
    }
}

impl Followed {
    /// Reads changes to the end. False if a request failed on the way.
    async fn catch_up(&mut self, api: &Api, recorder: &Recorder) -> bool {
        loop {
            let (id, since, limit) = (&self.id, &self.since, fastrand::u64(PAGE));
            let path = format!("/v1/conversations/{id}/messages?since={since}&limit={limit}");
            let answer = api.call(Method::GET, &path, &Value::Null).await;
            recorder.count("since", answer.status == 200);
            if answer.status != 200 {
                return false;
            }
            for message in answer.body.get("messages").and_then(Value::as_array).into_iter().flatten() {
                if let Some(wrong) = self.learn(message) {
                    recorder.odd(wrong);
                }
            }
            if answer.body.get("more") != Some(&Value::Bool(true)) {
                return true;
            }
        }
    }

    /// Takes a change in, and tells what is wrong with it.
    fn learn(&mut self, message: &Value) -> Option<String> {
        let text = |field| message.get(field).and_then(Value::as_str).map(str::to_owned);
        let (Some(id), Some(updated_at)) = (text("id"), text("updated_at")) else {
            return Some(format!("a change without an id or a time: {message}"));
        };
        let late = updated_at <= self.since;
        let wrong = late.then(|| format!("a change that isn't after {}: {message}", self.since));
        self.since = updated_at;
        self.messages.insert(id, text("body").filter(|_| text("deleted_at").is_none()));
        wrong
    }

    /// Each message is known as it is stored. One that was sent and deleted while the follower was away is known as deleted.
    fn compare(&self, stored: &[Stored]) -> Vec<String> {
        let mut wrong = Vec::new();
        let mut unknown = self.messages.clone();
        for message in stored.iter().filter(|message| message.conversation == self.id) {
            let is = Some(&message.body).filter(|_| !message.deleted);
            match unknown.remove(&message.id) {
                Some(known) if known.as_ref() == is => {}
                known => {
                    wrong.push(format!("followed by since, {} is {known:?}; stored: {is:?}", message.id));
                }
            }
        }
        wrong.extend(unknown.keys().map(|id| format!("followed by since, {id} isn't stored")));
        wrong
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn follower() -> Followed {
        let mut followed = Followed { id: "c".to_owned(), since: String::new(), messages: BTreeMap::new() };
        for (id, time, body, deleted_at) in
            [("1", "t1", Some("one"), None), ("2", "t2", Some("two"), None), ("2", "t3", None, Some("t3"))]
        {
            let message = json!({ "id": id, "updated_at": time, "body": body, "deleted_at": deleted_at });
            assert_eq!(followed.learn(&message), None);
        }
        followed
    }

    fn stored(id: &str, body: &str, deleted: bool) -> Stored {
        let (id, body) = (id.to_owned(), body.to_owned());
        Stored { id, conversation: "c".to_owned(), body, created_at: String::new(), deleted }
    }

    #[test]
    fn who_knows_what_is_stored_is_right() {
        let all = [stored("1", "one", false), stored("2", "two", true)];
        assert_eq!(follower().compare(&all), [""; 0]);
    }

    #[test]
    fn a_missed_send_edit_or_deletion_and_an_invention_are_found() {
        let one = stored("1", "one", false);
        for all in [
            vec![one.clone(), stored("2", "two", true), stored("3", "three", false)],
            vec![stored("1", "edited", false), stored("2", "two", true)],
            vec![stored("1", "one", true), stored("2", "two", true)],
            vec![one.clone(), stored("2", "two", false)],
            vec![one],
        ] {
            assert_eq!(follower().compare(&all).len(), 1);
        }
    }

    #[test]
    fn a_time_that_does_not_increase_is_found() {
        let message = json!({ "id": "3", "updated_at": "t3", "body": "three", "deleted_at": null });
        assert!(follower().learn(&message).is_some());
    }
}
