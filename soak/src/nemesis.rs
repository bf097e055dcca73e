//! What goes wrong during a run: one thing after another, at random.

use crate::history::Recorder;
use crate::processes::functions;
use crate::receiver::{Mood, Receiver};
use crate::world::connect;
use anyhow::ensure;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How long all is well between two faults, and how long a fault lasts, in milliseconds.
const CALM: std::ops::Range<u64> = 500..3_500;
const TROUBLE: std::ops::Range<u64> = 200..3_000;

/// How long a row stays locked: longer than a request waits for it.
const LOCKED: Duration = Duration::from_millis(3_600);

/// The end of a run's faults before its end, so that what was begun can end.
const QUIET_END: Duration = Duration::from_secs(5);

/// Breaks things.
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
            sleep(Duration::from_millis(fastrand::u64(CALM))).await;
            match fastrand::u8(..11) {
                0..3 => self.kill(),
                3 => self.poison().await?,
                4 => self.restart().await?,
                5..7 => self.outage("realtime").await?,
                7 => self.outage("storage").await?,
                8 => self.lock().await?,
                _ => self.annoy().await,
            }
        }
        Ok(())
    }

    /// Kills some functions, whatever they are at; first those that aren't frozen.
    fn kill(&self) {
        let mut victims = functions();
        fastrand::shuffle(&mut victims);
        victims.sort_by_key(|process| !process.is_awake);
        for process in victims.into_iter().take(fastrand::usize(1..4)) {
            if kill(Pid::from_raw(process.id), Signal::SIGKILL).is_ok() {
                self.recorder.fault("kill -9 of a function");
                self.recorder.death(Some(process.name), self.recorder.began.elapsed());
            }
        }
    }

    /// Functions die with their answers, before they have told anyone else.
    async fn poison(&self) -> anyhow::Result<()> {
        let fault = json!({ "functions": { "kill_after_answer": true } });
        let from = self.recorder.began.elapsed();
        let done = self.fault("functions die with their answers", fault).await;
        self.recorder.death(None, from);
        done
    }

    /// Somebody else locks a conversation, or all of its messages.
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

    /// A receiver of webhooks has a bad time.
    async fn annoy(&self) {
        let Some(receiver) = fastrand::choice(&self.receivers) else { return };
        let mood = [Mood::Failing, Mood::Hanging, Mood::Late];
        let mood = fastrand::choice(mood).unwrap_or_default();
        self.recorder.fault(&format!("a receiver is {mood:?}"));
        receiver.set(mood);
        sleep(Duration::from_millis(fastrand::u64(TROUBLE))).await;
        receiver.set(Mood::Well);
    }

    async fn fault(&self, what: &str, fault: Value) -> anyhow::Result<()> {
        self.recorder.fault(what);
        self.set(&fault).await?;
        sleep(Duration::from_millis(fastrand::u64(TROUBLE))).await;
        self.set(&json!({})).await
    }

    async fn set(&self, faults: &Value) -> anyhow::Result<()> {
        let answer = self.http.post(format!("{}/__faults", self.supabase_url)).json(faults).send().await?;
        ensure!(answer.status().is_success(), "{faults}: {}", answer.text().await?);
        Ok(())
    }
}
