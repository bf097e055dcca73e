//! A listener on all of the run's channels, and what functions logged of the broadcasts that they lost.

use crate::history::{Live, Recorder};
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

/// How often the server wants to hear from a client.
const HEARTBEAT: Duration = Duration::from_secs(20);

/// How long a reply may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// The functions that change messages, and the kind of their change.
pub const FUNCTIONS: [(&str, &str); 3] = [
    ("send-message", "message.created"),
    ("edit-message", "message.updated"),
    ("delete-message", "message.deleted"),
];

/// A client that has joined the channels.
pub struct Listener {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    recorder: Arc<Recorder>,
}

impl Listener {
    /// Joins the channels of conversations.
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
            let reply = timeout(PATIENCE, listener.frame()).await?.context("no reply to phx_join")?;
            ensure!(reply.pointer("/4/status") == Some(&json!("ok")), "no channel: {reply}");
        }
        Ok(listener)
    }

    /// Writes down what it hears, and returns if the connection ends.
    pub async fn run(mut self) {
        let mut beat = Instant::now();
        loop {
            if beat.elapsed() > HEARTBEAT {
                beat = Instant::now();
                let _ended = self.send(&json!([null, "2", "phoenix", "heartbeat", {}])).await;
            }
            match timeout(HEARTBEAT, self.frame()).await {
                Ok(Some(frame)) => self.hear(&frame),
                Ok(None) => return self.recorder.odd("the listener's connection ended".to_owned()),
                Err(_) => {}
            }
        }
    }

    fn hear(&self, frame: &Value) {
        let Some(message) = frame.pointer("/4/payload/message") else { return };
        let text = |field: &str| message.get(field).and_then(Value::as_str).map(str::to_owned);
        let (kind, edited) = match (text("deleted_at"), text("edited_at")) {
            (Some(_), _) => ("message.deleted", None),
            (None, Some(_)) => ("message.updated", text("body")),
            (None, None) => ("message.created", None),
        };
        let live = Live { kind, message: text("id").unwrap_or_default(), text: edited };
        *self.recorder.history.lock().heard.entry(live).or_default() += 1;
    }

    async fn send(&mut self, frame: &Value) -> anyhow::Result<()> {
        Ok(self.socket.send(Message::text(frame.to_string())).await?)
    }

    /// The next frame, or none if the connection has ended.
    async fn frame(&mut self) -> Option<Value> {
        loop {
            if let Message::Text(text) = self.socket.next().await?.ok()? {
                return serde_json::from_str(&text).ok();
            }
        }
    }
}

/// The kinds of change whose broadcast was logged as lost, with the message's id.
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
