//! The tenant's backend, which manages one conversation: it adds and removes guests, closes the conversation and opens it
//! again.

use crate::client::{Api, Response};
use crate::history::{Closure, Membership, Recorder};
use reqwest::Method;
use serde_json::{Value, json};
use shared::model::Timestamp;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::time::{Instant, sleep};

/// The pause between two changes, and the time for which a conversation is closed, in milliseconds.
const PAUSE: std::ops::Range<u64> = 500..4_000;
const CLOSED: std::ops::Range<u64> = 100..1_500;

/// The time in which a change must succeed, including its retries during faults.
const TIMEOUT: Duration = Duration::from_mins(1);

const GUESTS: [&str; 4] = ["guest 1", "guest 2", "guest 3", "guest 4"];

/// The manager of a conversation, with the tenant's secret key. Only it changes the participants and the status.
pub struct Backend {
    pub api: Arc<Api>,
    pub recorder: Arc<Recorder>,
    pub conversation: String,
    /// The expected participants.
    pub participants: Vec<String>,
}

impl Backend {
    /// Makes changes until the run ends. The conversation is open after that.
    pub async fn run(mut self, until: Instant) {
        while Instant::now() < until {
            sleep(Duration::from_millis(fastrand::u64(PAUSE))).await;
            if fastrand::bool() {
                self.change_guests().await;
            } else {
                self.close().await;
            }
        }
        let membership = Membership { conversation: self.conversation, participants: self.participants };
        self.recorder.history.lock().memberships.push(membership);
    }

    async fn change_guests(&mut self) {
        let [add, remove] = [0, 1].map(|_| fastrand::choice(GUESTS).unwrap_or_default());
        self.participants.retain(|user| user != remove || remove == add);
        if !self.participants.iter().any(|user| user == add) {
            self.participants.push(add.to_owned());
        }
        self.update(&json!({ "add_participants": [add], "remove_participants": [remove] })).await;
    }

    async fn close(&self) {
        let requested = self.recorder.began.elapsed();
        let closed_at = self.update(&json!({ "status": "closed" })).await;
        sleep(Duration::from_millis(fastrand::u64(CLOSED))).await;
        // The clock is read before the request. If a first try opens the conversation and its response is lost, the time in
        // the next response is too late.
        let opened_at = Timestamp::from(SystemTime::now()).to_string();
        self.update(&json!({ "status": "open" })).await;
        let opened = self.recorder.began.elapsed();
        let conversation = self.conversation.clone();
        let closure = Closure { conversation, closed_at, opened_at, requested, opened };
        self.recorder.history.lock().closures.push(closure);
    }

    /// Makes a change, and retries it until it succeeds. Returns its time.
    async fn update(&self, change: &Value) -> String {
        let path = format!("/v1/conversations/{}", self.conversation);
        let began = Instant::now();
        loop {
            let Response { status, body } = self.api.call(Method::PATCH, &path, change).await;
            self.recorder.count("update", status == 200);
            let participants = body.pointer("/conversation/participants");
            match status {
                200 if participants == Some(&json!(self.participants)) => {
                    let at = body.pointer("/conversation/updated_at").and_then(Value::as_str);
                    return at.unwrap_or_default().to_owned();
                }
                0 | 500 | 503 if began.elapsed() < TIMEOUT => sleep(Duration::from_millis(100)).await,
                _ => {
                    self.recorder.anomaly(format!("{status} to {change} of {path}: {body}"));
                    return String::new();
                }
            }
        }
    }
}
