//! The tenant's backend, which keeps one conversation: it has guests come and go, closes it, and opens it again.

use crate::client::{Answer, Api};
use crate::history::{Closure, Kept, Recorder};
use reqwest::Method;
use serde_json::{Value, json};
use shared::model::Timestamp;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::time::{Instant, sleep};

/// How long everything stays as it is, and how long a conversation is closed, in milliseconds.
const PAUSE: std::ops::Range<u64> = 500..4_000;
const CLOSED: std::ops::Range<u64> = 100..1_500;

/// How long a change may take to be answered well, faults and all.
const PATIENCE: Duration = Duration::from_mins(1);

const GUESTS: [&str; 4] = ["guest 1", "guest 2", "guest 3", "guest 4"];

/// The keeper of a conversation, with the tenant's secret key. Nobody else changes its participants and status.
pub struct Keeper {
    pub api: Arc<Api>,
    pub recorder: Arc<Recorder>,
    pub conversation: String,
    /// Who takes part, as it should be.
    pub participants: Vec<String>,
}

impl Keeper {
    /// Leaves the conversation open.
    pub async fn run(mut self, until: Instant) {
        while Instant::now() < until {
            sleep(Duration::from_millis(fastrand::u64(PAUSE))).await;
            if fastrand::bool() {
                self.change_guests().await;
            } else {
                self.close().await;
            }
        }
        let kept = Kept { conversation: self.conversation, participants: self.participants };
        self.recorder.history.lock().kept.push(kept);
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
        let asked = self.recorder.began.elapsed();
        let closed_at = self.update(&json!({ "status": "closed" })).await;
        sleep(Duration::from_millis(fastrand::u64(CLOSED))).await;
        // A first try may open it whose answer is lost, so that the time in a later one's is too late.
        let opened_at = Timestamp::from(SystemTime::now()).to_string();
        self.update(&json!({ "status": "open" })).await;
        let opened = self.recorder.began.elapsed();
        let conversation = self.conversation.clone();
        let closure = Closure { conversation, closed_at, opened_at, asked, opened };
        self.recorder.history.lock().closures.push(closure);
    }

    /// Makes a change, again and again until it is answered well, and gives its time.
    async fn update(&self, change: &Value) -> String {
        let path = format!("/v1/conversations/{}", self.conversation);
        let began = Instant::now();
        loop {
            let Answer { status, body } = self.api.call(Method::PATCH, &path, change).await;
            self.recorder.count("update", status == 200);
            let participants = body.pointer("/conversation/participants");
            match status {
                200 if participants == Some(&json!(self.participants)) => {
                    let at = body.pointer("/conversation/updated_at").and_then(Value::as_str);
                    return at.unwrap_or_default().to_owned();
                }
                0 | 500 | 503 if began.elapsed() < PATIENCE => sleep(Duration::from_millis(100)).await,
                _ => {
                    self.recorder.odd(format!("{status} to {change} of {path}: {body}"));
                    return String::new();
                }
            }
        }
    }
}
