//! A listener on a conversation's Realtime channel, speaking the websocket protocol by hand in either version.

use super::setting;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

/// The versions of the websocket protocol that supabase-js speaks.
pub const VERSIONS: [&str; 2] = ["1.0.0", NEWEST];
pub const NEWEST: &str = "2.0.0";

/// How long an event may take to arrive.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long no event may come before it is taken to be none.
const SILENCE: Duration = Duration::from_millis(150);

/// A joined channel.
pub struct Channel {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    topic: String,
}

impl Channel {
    /// Joins a conversation's channel with the newest protocol.
    pub async fn join(conversation: &str) -> Self {
        Self::join_with(conversation, NEWEST).await
    }

    /// Joins a conversation's channel with a version of the protocol.
    pub async fn join_with(conversation: &str, version: &str) -> Self {
        let (channel, reply) = Self::ask_to_join(&format!("conv:{conversation}"), version, false).await;
        assert_eq!(reply["status"], "ok", "{reply}");
        channel
    }

    /// Joins a conversation's private channel.
    pub async fn join_private(conversation: &str) -> Self {
        let (channel, reply) = Self::ask_to_join(&format!("conv:{conversation}"), NEWEST, true).await;
        assert_eq!(reply["status"], "ok", "{reply}");
        channel
    }

    /// Asks to join a channel, and gives the reply.
    pub async fn ask_to_join(name: &str, version: &str, private: bool) -> (Self, Value) {
        Self::ask_with(name, version, private, None).await
    }

    /// Asks to join a conversation's private channel with an access token of the user's own.
    pub async fn ask_as(conversation: &str, access_token: &str) -> (Self, Value) {
        Self::ask_with(&format!("conv:{conversation}"), NEWEST, true, Some(access_token)).await
    }

    /// Joins a user's inbox channel, by the user's UUID.
    pub async fn join_inbox(user: &str) -> Self {
        let (channel, reply) = Self::ask_to_join(&format!("user:{user}"), NEWEST, false).await;
        assert_eq!(reply["status"], "ok", "{reply}");
        channel
    }

    /// Asks to join a user's private inbox channel with an access token of the listener's own.
    pub async fn ask_for_inbox_as(user: &str, access_token: &str) -> (Self, Value) {
        Self::ask_with(&format!("user:{user}"), NEWEST, true, Some(access_token)).await
    }

    /// Sends a new access token, which gets no reply.
    pub async fn renew(&mut self, access_token: &str) {
        let frame = json!(["1", "2", self.topic, "access_token", { "access_token": access_token }]);
        self.socket.send(Message::text(frame.to_string())).await.unwrap();
    }

    /// Waits until the server ends the stay, and gives its reason.
    pub async fn ended(&mut self) -> Value {
        let mut message = timeout(PATIENCE, self.frame("system")).await.expect("the end of the stay");
        timeout(PATIENCE, self.frame("phx_close")).await.expect("a close");
        message["message"].take()
    }

    async fn ask_with(name: &str, version: &str, private: bool, token: Option<&str>) -> (Self, Value) {
        let url = format!(
            "{}/realtime/v1/websocket?apikey={}&vsn={version}",
            setting("SUPABASE_URL").replacen("http", "ws", 1),
            setting("SUPABASE_ANON_KEY"),
        );
        let (socket, _) = connect_async(url).await.unwrap();
        let topic = format!("realtime:{name}");
        let mut channel = Self { socket, topic };
        let payload = json!({
            "config": {
                "broadcast": { "ack": false, "self": false }, "presence": { "key": "" },
                "postgres_changes": [], "private": private,
            },
            "access_token": token,
        });
        let join = match version {
            "1.0.0" => json!({
                "topic": channel.topic, "event": "phx_join", "payload": payload, "ref": "1", "join_ref": "1",
            }),
            _ => json!(["1", "1", channel.topic, "phx_join", payload]),
        };
        channel.socket.send(Message::text(join.to_string())).await.unwrap();
        let reply = timeout(PATIENCE, channel.frame("phx_reply")).await.expect("an answer to phx_join");
        (channel, reply)
    }

    /// Broadcasts as a client may try to.
    pub async fn broadcast(&mut self, event: &str, payload: &Value) {
        let payload = json!({ "type": "broadcast", "event": event, "payload": payload });
        let frame = json!(["1", "2", self.topic, "broadcast", payload]);
        self.socket.send(Message::text(frame.to_string())).await.unwrap();
    }

    /// The payload of the next broadcast, which must be this event.
    pub async fn next(&mut self, event: &str) -> Value {
        let mut broadcast = timeout(PATIENCE, self.frame("broadcast")).await.expect(event);
        assert_eq!(
            (&broadcast["type"], &broadcast["event"]),
            (&json!("broadcast"), &json!(event)),
            "{broadcast}"
        );
        broadcast["payload"].take()
    }

    /// Asserts that no broadcast comes.
    pub async fn is_silent(&mut self) {
        if let Ok(broadcast) = timeout(SILENCE, self.frame("broadcast")).await {
            panic!("nobody should have broadcast {broadcast}");
        }
    }

    /// The payload of the next frame of this channel with this event, whichever version it is written in.
    async fn frame(&mut self, event: &str) -> Value {
        loop {
            let message = self.socket.next().await.expect("an open socket").unwrap();
            let Message::Text(text) = message else { continue };
            let mut frame: Value = serde_json::from_str(&text).unwrap();
            if let Some(fields) = frame.as_array() {
                frame = json!({ "topic": fields[2], "event": fields[3], "payload": fields[4] });
            }
            if frame["topic"] == self.topic && frame["event"] == event {
                return frame["payload"].take();
            }
        }
    }
}
