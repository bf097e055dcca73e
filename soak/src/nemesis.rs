//! The faults of a run: one after another, chosen at random. Jepsen calls the part that injects them the nemesis.

use crate::database::connect;
use crate::history::Recorder;
use crate::processes::functions;
use crate::receiver::{Behavior, Receiver};
use anyhow::ensure;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// The time between two faults and the length of a fault, in milliseconds.
const PAUSE: std::ops::Range<u64> = 500..3_500;
const FAULT: std::ops::Range<u64> = 200..3_000;

/// The time for which rows stay locked, which is longer than a request waits for them.
const LOCKED: Duration = Duration::from_millis(3_600);

/// The time without faults at the end of a run, in which clients can finish what they have begun.
const QUIET_END: Duration = Duration::from_secs(5);

/// Injects faults.
pub struct Nemesis {
    pub http: reqwest::Client,
    pub supabase_url: String,
    pub recorder: Arc<Recorder>,
    pub receivers: Vec<Arc<Receiver>>,
    pub conversations: Arc<Vec<String>>,
}

impl Nemesis {
    pub async fn run(&self, until: Instant) -> anyhow::Result<()> {
        while Instant::now() + QUIET_END < until {
            sleep(Duration::from_millis(fastrand::u64(PAUSE))).await;
            match fastrand::u8(..11) {
                0..3 => self.kill(),
                3 => self.kill_after_response().await?,
                4 => self.restart().await?,
                5..7 => self.outage("realtime").await?,
                7 => self.outage("storage").await?,
                8 => self.lock().await?,
                _ => self.disturb_receiver().await,
            }
        }
        Ok(())
    }

    /// Kills some functions at any moment, preferring those that aren't frozen.
    fn kill(&self) {
        let mut victims = functions();
        fastrand::shuffle(&mut victims);
        victims.sort_by_key(|process| process.is_frozen);
        for process in victims.into_iter().take(fastrand::usize(1..4)) {
            if kill(Pid::from_raw(process.id), Signal::SIGKILL).is_ok() {
                self.recorder.fault("kill -9 of a function");
                self.recorder.death(Some(process.name), self.recorder.began.elapsed());
            }
        }
    }

    /// Kills each function right after its response, before it can send broadcasts or webhooks.
    async fn kill_after_response(&self) -> anyhow::Result<()> {
        let fault = json!({ "functions": { "kill_after_response": true } });
        let from = self.recorder.began.elapsed();
        let done = self.fault("functions killed after their responses", fault).await;
        self.recorder.death(None, from);
        done
    }

    /// Locks a conversation or all of its messages, from another connection.
    async fn lock(&self) -> anyhow::Result<()> {
        let (what, rows) = if fastrand::bool() {
            ("a conversation", "select from tinychat.conversations where id = $1::text::uuid for update")
        } else {
            ("messages", "select from tinychat.messages where conversation_id = $1::text::uuid for update")
        };
        self.recorder.fault(&format!("{what} locked"));
        let conversation = fastrand::choice(self.conversations.iter());
        let client = connect().await?;
        client.batch_execute("begin").await?;
        client.query(rows, &[&conversation]).await?;
        sleep(LOCKED).await;
        Ok(client.batch_execute("rollback").await?)
    }

    async fn restart(&self) -> anyhow::Result<()> {
        let how = if fastrand::bool() { "fast" } else { "immediate" };
        self.fault(&format!("Postgres restarts, {how}"), json!({ "postgres": { "down": how } })).await
    }

    async fn outage(&self, service: &str) -> anyhow::Result<()> {
        let fault = match fastrand::u8(..4) {
            0 => json!({ "status": 503 }),
            1 => json!({ "reset": true }),
            2 => json!({ "hang": true }),
            _ => json!({ "delay_ms": 1_500 }),
        };
        self.fault(&format!("{service}: {fault}"), json!({ service: fault })).await
    }

    /// Makes a receiver of webhooks fail, hang or respond late.
    async fn disturb_receiver(&self) {
        let Some(receiver) = fastrand::choice(&self.receivers) else { return };
        let behavior = [Behavior::Fails, Behavior::Hangs, Behavior::RespondsLate];
        let behavior = fastrand::choice(behavior).unwrap_or_default();
        self.recorder.fault(&format!("receiver: {behavior:?}"));
        receiver.set(behavior);
        sleep(Duration::from_millis(fastrand::u64(FAULT))).await;
        receiver.set(Behavior::Accepts);
    }

    async fn fault(&self, what: &str, fault: Value) -> anyhow::Result<()> {
        self.recorder.fault(what);
        self.set(&fault).await?;
        sleep(Duration::from_millis(fastrand::u64(FAULT))).await;
        self.set(&json!({})).await
    }

    async fn set(&self, faults: &Value) -> anyhow::Result<()> {
        let response = self.http.post(format!("{}/__faults", self.supabase_url)).json(faults).send().await?;
        ensure!(response.status().is_success(), "{faults}: {}", response.text().await?);
        Ok(())
    }
}
