//! A client that reads its conversations only by `since`. It is offline most of the time. At the end it must have exactly
//! the messages that are stored.

use crate::client::Api;
use crate::history::{Recorder, Stored};
use reqwest::Method;
use serde_json::Value;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// The time that a follower is offline, in milliseconds, and the number of changes that it requests at once.
const OFFLINE: std::ops::Range<u64> = 50..8_000;
const PAGE: std::ops::Range<u64> = 1..60;

/// The number of times that the last catch-up is retried.
const RETRIES: u32 = 10;

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
    /// The body of each message, or `None` if it was deleted.
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

    /// Catches up at random intervals until the run ends.
    pub async fn run(&mut self, until: Instant) {
        while Instant::now() < until {
            for followed in &mut self.followed {
                sleep(Duration::from_millis(fastrand::u64(OFFLINE)) / 8).await;
                followed.catch_up(&self.api, &self.recorder).await;
            }
        }
    }

    /// Catches up with everything after the faults have ended. Returns all differences from the stored messages, except
    /// that it may still know expired ones: no change says that they were removed.
    pub async fn check(mut self, stored: &[Stored], expired: &HashSet<&str>) -> Vec<String> {
        let mut wrong = Vec::new();
        for followed in &mut self.followed {
            let mut retries = 0..RETRIES;
            while !followed.catch_up(&self.api, &self.recorder).await && retries.next().is_some() {
                sleep(Duration::from_secs(1)).await;
            }
            wrong.extend(followed.compare(stored, expired));
        }
        wrong
    }
}

impl Followed {
    /// Reads all changes. Returns false if a request failed.
    async fn catch_up(&mut self, api: &Api, recorder: &Recorder) -> bool {
        loop {
            let (id, since, limit) = (&self.id, &self.since, fastrand::u64(PAGE));
            let path = format!("/v1/conversations/{id}/messages?since={since}&limit={limit}");
            let response = api.call(Method::GET, &path, &Value::Null).await;
            recorder.count("since", response.status == 200);
            if response.status != 200 {
                return false;
            }
            for message in response.body.get("messages").and_then(Value::as_array).into_iter().flatten() {
                if let Some(wrong) = self.apply(message) {
                    recorder.anomaly(wrong);
                }
            }
            if response.body.get("more") != Some(&Value::Bool(true)) {
                return true;
            }
        }
    }

    /// Applies a change. Returns a description if the change is invalid.
    fn apply(&mut self, message: &Value) -> Option<String> {
        let text = |field| message.get(field).and_then(Value::as_str).map(str::to_owned);
        let (Some(id), Some(updated_at)) = (text("id"), text("updated_at")) else {
            return Some(format!("a change without an id or a time: {message}"));
        };
        let late = updated_at <= self.since;
        let wrong = late.then(|| format!("a change that isn't later than {}: {message}", self.since));
        self.since = updated_at;
        self.messages.insert(id, text("body").filter(|_| text("deleted_at").is_none()));
        wrong
    }

    /// Returns the differences from the stored messages. The follower must also know a message that was sent and deleted
    /// while it was offline, as deleted.
    fn compare(&self, stored: &[Stored], expired: &HashSet<&str>) -> Vec<String> {
        let mut wrong = Vec::new();
        let mut unknown = self.messages.clone();
        for message in stored.iter().filter(|message| message.conversation == self.id) {
            let is = message.body.as_ref().filter(|_| !message.deleted);
            match unknown.remove(&message.id) {
                Some(known) if known.as_ref() == is => {}
                known => {
                    wrong.push(format!(
                        "since: the follower has {known:?} for {}; stored: {is:?}",
                        message.id
                    ));
                }
            }
        }
        let unknown = unknown.keys().filter(|id| !expired.contains(id.as_str()));
        wrong.extend(unknown.map(|id| format!("since: the follower has {id}, which isn't stored")));
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
            assert_eq!(followed.apply(&message), None);
        }
        followed
    }

    fn stored(id: &str, body: &str, deleted: bool) -> Stored {
        Stored {
            id: id.to_owned(),
            conversation: "c".to_owned(),
            sender: "s".to_owned(),
            body: Some(body.to_owned()),
            reply_to: None,
            image: None,
            created_at: String::new(),
            deleted,
        }
    }

    fn differences(stored: &[Stored]) -> Vec<String> {
        follower().compare(stored, &HashSet::new())
    }

    #[test]
    fn a_follower_that_has_all_stored_messages_is_correct() {
        let all = [stored("1", "one", false), stored("2", "two", true)];
        assert_eq!(differences(&all), [""; 0]);
    }

    #[test]
    fn a_missed_send_edit_or_deletion_and_an_extra_message_are_found() {
        let one = stored("1", "one", false);
        for all in [
            vec![one.clone(), stored("2", "two", true), stored("3", "three", false)],
            vec![stored("1", "edited", false), stored("2", "two", true)],
            vec![stored("1", "one", true), stored("2", "two", true)],
            vec![one.clone(), stored("2", "two", false)],
            vec![one],
        ] {
            assert_eq!(differences(&all).len(), 1);
        }
    }

    #[test]
    fn an_erased_message_must_be_known_as_deleted_and_an_expired_one_may_be_known() {
        let erased = |message: Stored| Stored { sender: "erased-1".to_owned(), body: None, ..message };
        assert_eq!(differences(&[stored("1", "one", false), erased(stored("2", "two", true))]), [""; 0]);
        assert_eq!(differences(&[erased(stored("1", "one", true)), stored("2", "two", true)]).len(), 1);
        let only_two = [stored("2", "two", true)];
        assert_eq!(follower().compare(&only_two, &HashSet::from(["1"])), [""; 0]);
        assert_eq!(follower().compare(&only_two, &HashSet::from(["2"])).len(), 1);
    }

    #[test]
    fn a_time_that_does_not_increase_is_found() {
        let message = json!({ "id": "3", "updated_at": "t3", "body": "three", "deleted_at": null });
        assert!(follower().apply(&message).is_some());
    }
}
