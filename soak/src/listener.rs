//! A listener on all channels of the run, and the broadcasts that functions logged as lost.

use crate::history::{Broadcast, FUNCTIONS, Recorder};
use anyhow::{Context, ensure};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use std::env;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

/// The interval of the heartbeats that the server expects.
const HEARTBEAT: Duration = Duration::from_secs(20);

/// The time in which the server must reply.
const REPLY_TIMEOUT: Duration = Duration::from_secs(5);

/// A Realtime client that has joined the channels.
pub struct Listener {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    recorder: Arc<Recorder>,
}

impl Listener {
    /// Joins the channels of the conversations.
    pub async fn join(conversations: &[String], recorder: Arc<Recorder>) -> anyhow::Result<Self> {
        let url = format!(
            "{}/realtime/v1/websocket?apikey={}&vsn=2.0.0",
            env::var("SUPABASE_URL")?.replacen("http", "ws", 1),
            env::var("SUPABASE_ANON_KEY")?
        );
        let (socket, _) = connect_async(url).await?;
        let mut listener = Self { socket, recorder };
        for conversation in conversations {
            let config =
                json!({ "config": { "broadcast": { "ack": false, "self": false }, "private": false } });
            let topic = format!("realtime:conv:{conversation}");
            listener.send(&json!(["1", "1", topic, "phx_join", config])).await?;
            let reply = timeout(REPLY_TIMEOUT, listener.frame()).await?.context("no reply to phx_join")?;
            ensure!(reply.pointer("/4/status") == Some(&json!("ok")), "no channel: {reply}");
        }
        Ok(listener)
    }

    /// Records the broadcasts. Returns if the connection ends.
    pub async fn run(mut self) {
        let mut beat = Instant::now();
        loop {
            if beat.elapsed() > HEARTBEAT {
                beat = Instant::now();
                let _ended = self.send(&json!([null, "2", "phoenix", "heartbeat", {}])).await;
            }
            match timeout(HEARTBEAT, self.frame()).await {
                Ok(Some(frame)) => self.record(&frame),
                Ok(None) => return self.recorder.anomaly("the listener's connection ended".to_owned()),
                Err(_) => {}
            }
        }
    }

    fn record(&self, frame: &Value) {
        let Some(message) = frame.pointer("/4/payload/message") else { return };
        let text = |field: &str| message.get(field).and_then(Value::as_str).map(str::to_owned);
        let (kind, edited) = match (text("deleted_at"), text("edited_at")) {
            (Some(_), _) => ("message.deleted", None),
            (None, Some(_)) => ("message.updated", text("body")),
            (None, None) => ("message.created", None),
        };
        let broadcast = Broadcast { kind, message: text("id").unwrap_or_default(), text: edited };
        *self.recorder.history.lock().broadcasts.entry(broadcast).or_default() += 1;
    }

    async fn send(&mut self, frame: &Value) -> anyhow::Result<()> {
        Ok(self.socket.send(Message::text(frame.to_string())).await?)
    }

    /// Returns the next frame, or `None` if the connection has ended.
    async fn frame(&mut self) -> Option<Value> {
        loop {
            if let Message::Text(text) = self.socket.next().await?.ok()? {
                return serde_json::from_str(&text).ok();
            }
        }
    }
}

/// Reads the broadcasts that functions logged as lost: the kind of change and the message's id.
pub fn lost() -> anyhow::Result<Vec<(&'static str, String)>> {
    let logs = Path::new(&env::var("DATA_DIR")?).join("logs");
    let mut lost = Vec::new();
    for (function, kind) in FUNCTIONS {
        let log = std::fs::read_to_string(logs.join(function).with_extension("log")).context(function)?;
        let lines = log.lines().filter(|line| line.contains("broadcast lost"));
        let id =
            |line| Some(serde_json::from_str::<Value>(line).ok()?.get("message_id")?.as_str()?.to_owned());
        lost.extend(lines.filter_map(id).map(|id| (kind, id)));
    }
    Ok(lost)
}
