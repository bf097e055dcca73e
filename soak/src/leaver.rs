//! Users who ask to be forgotten. One after another they join a conversation, write, and are erased. Some go on writing
//! meanwhile or come back afterwards.

use crate::client::{Api, Client};
use crate::history::{Membership, Recorder};
use crate::tinychat;
use reqwest::Method;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

/// The beginning of the ids that replace them.
pub const ERASED: &str = "erased-";

/// The time between two users, and between two requests of one, in milliseconds.
const ABSENCE: std::ops::Range<u64> = 0..10_000;
const PAUSE: std::ops::Range<u64> = 20..180;

/// The time after which an erasure is killed, in milliseconds.
const INTERRUPTION: std::ops::Range<u64> = 50..2_000;

/// The time in which an erasure must succeed, including its retries during faults and after interruptions.
const TIMEOUT: Duration = Duration::from_mins(5);

/// A sequence of users.
pub struct Leaver {
    pub api: Arc<Api>,
    /// The API, called with the tenant's secret key.
    pub secret_api: Arc<Api>,
    pub recorder: Arc<Recorder>,
    pub conversations: Arc<Vec<String>>,
    pub tenant: Uuid,
    /// The beginning of the users' ids.
    pub prefix: String,
    /// Distinguishes this sequence from others.
    pub number: usize,
    /// The conversation that the users join, and its other participants.
    pub home: String,
    pub participants: Vec<String>,
}

impl Leaver {
    /// Lets users come and go until the run ends. The last one stays.
    pub async fn run(self, until: Instant) {
        let mut friend = self.client(format!("friend {}", self.number));
        let mut participants = self.participants.clone();
        for life in 0.. {
            sleep(Duration::from_millis(fastrand::u64(ABSENCE))).await;
            let user = format!("{}{}", self.prefix, 1_000 * self.number + life);
            let mut client = self.client(user.clone());
            client.plants = true;
            self.join(&user).await;
            if !self.live(&mut client, &mut friend, until).await {
                participants.push(user);
                break;
            }
            let restless = fastrand::bool();
            let writes = async {
                for _ in 0..if restless { fastrand::u8(5..30) } else { 0 } {
                    client.send(until).await;
                    pause().await;
                }
            };
            tokio::join!(self.erase(&user), writes);
            for _ in 0..if fastrand::bool() { fastrand::u8(1..5) } else { 0 } {
                client.send(until).await;
                client.upsert(user.clone()).await;
            }
            self.remove_erased().await;
        }
        let membership = Membership { conversation: self.home, participants };
        self.recorder.history.lock().memberships.push(membership);
    }

    fn client(&self, name: String) -> Client {
        Client::new(self.api.clone(), self.recorder.clone(), self.conversations.clone(), name)
    }

    /// Makes some requests as the user. Returns false if the run ends.
    async fn live(&self, client: &mut Client, friend: &mut Client, until: Instant) -> bool {
        while !client.upsert(client.name.clone()).await {
            pause().await;
        }
        for _ in 0..fastrand::u8(5..40) {
            if Instant::now() >= until {
                return false;
            }
            match fastrand::u8(..10) {
                0 => client.edit().await,
                1 => client.delete().await,
                2 => drop(client.upsert(client.name.clone()).await),
                3 => friend.reply_to(client, until).await,
                _ => client.send(until).await,
            }
            pause().await;
        }
        Instant::now() < until
    }

    /// Erases the user. Some erasures are killed and repeated.
    async fn erase(&self, user: &str) {
        let line = format!("users erase {} {user} --yes", self.tenant);
        let (start, mut again) = (Instant::now(), false);
        loop {
            let began = self.recorder.began.elapsed();
            let interrupted = !again && fastrand::u8(..3) == 0;
            let most = interrupted.then(|| Duration::from_millis(fastrand::u64(INTERRUPTION)));
            let outcome = tinychat::run(&line, most.unwrap_or(TIMEOUT)).await;
            let is_erased = match &outcome {
                Ok((0, _)) => true,
                Ok((3, _)) => again, // the last run's success wasn't reported
                _ => false,
            };
            self.recorder.count("erase", is_erased);
            if is_erased {
                let time = began..self.recorder.began.elapsed();
                self.recorder.history.lock().erasures.insert(user.to_owned(), time);
                return;
            }
            if start.elapsed() > TIMEOUT {
                return self.recorder.anomaly(format!("{user} isn't erased: {outcome:?}"));
            }
            again = true;
            sleep(Duration::from_millis(500)).await;
        }
    }

    async fn join(&self, user: &str) {
        let began = self.recorder.began.elapsed();
        self.update(&json!({ "add_participants": [user] })).await;
        let ended = self.recorder.began.elapsed();
        self.recorder.plant(user, user, began..ended, true);
    }

    /// Removes erased users from the conversation, so that it doesn't fill up with them.
    async fn remove_erased(&self) {
        let conversation = self.update(&json!({})).await;
        let participants = conversation.get("participants").and_then(Value::as_array).into_iter().flatten();
        let erased: Vec<_> =
            participants.filter(|user| user.as_str().is_some_and(|id| id.starts_with(ERASED))).collect();
        if erased.len() != 1 {
            self.recorder.anomaly(format!("an erased user left {erased:?} in {}", self.home));
        }
        self.update(&json!({ "remove_participants": erased })).await;
    }

    /// Changes the conversation, and retries until that succeeds. Returns the conversation.
    async fn update(&self, change: &Value) -> Value {
        let path = format!("/v1/conversations/{}", self.home);
        let start = Instant::now();
        loop {
            let mut response = self.secret_api.call(Method::PATCH, &path, change).await;
            self.recorder.count("update", response.status == 200);
            match response.status {
                200 => return response.body.get_mut("conversation").map(Value::take).unwrap_or_default(),
                0 | 500 | 503 if start.elapsed() < TIMEOUT => pause().await,
                status => {
                    self.recorder.anomaly(format!("{status} to {change} of {path}: {}", response.body));
                    return Value::Null;
                }
            }
        }
    }
}

async fn pause() {
    sleep(Duration::from_millis(fastrand::u64(PAUSE))).await;
}
