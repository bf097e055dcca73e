//! A listener on a Realtime channel. It speaks both versions of the websocket protocol without a library.

use crate::{TIMEOUT, setting};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

/// The versions of the websocket protocol that supabase-js speaks.
pub const VERSIONS: [&str; 2] = ["1.0.0", NEWEST];
/// The newer version.
pub const NEWEST: &str = "2.0.0";

/// The topic of a socket's heartbeats.
const HEARTBEAT_TOPIC: &str = "phoenix";

/// A joined channel.
pub struct Channel {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    topic: String,
    version: String,
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

    /// Asks to join a channel. Returns the reply, too.
    pub async fn ask_to_join(name: &str, version: &str, private: bool) -> (Self, Value) {
        Self::ask_with(name, version, private, None).await
    }

    /// Asks to join a conversation's private channel with a user's access token. Returns the reply, too.
    pub async fn ask_as(conversation: &str, access_token: &str) -> (Self, Value) {
        Self::ask_with(&format!("conv:{conversation}"), NEWEST, true, Some(access_token)).await
    }

    /// Joins a user's inbox channel, which has the user's UUID in its name.
    pub async fn join_inbox(user: &str) -> Self {
        let (channel, reply) = Self::ask_to_join(&format!("user:{user}"), NEWEST, false).await;
        assert_eq!(reply["status"], "ok", "{reply}");
        channel
    }

    /// Asks to join a user's private inbox channel with the listener's access token. Returns the reply, too.
    pub async fn ask_for_inbox_as(user: &str, access_token: &str) -> (Self, Value) {
        Self::ask_with(&format!("user:{user}"), NEWEST, true, Some(access_token)).await
    }

    /// Sends a new access token. There is no reply to it.
    pub async fn renew(&mut self, access_token: &str) {
        self.send(&self.topic.clone(), "access_token", &json!({ "access_token": access_token })).await;
    }

    /// Waits until the server ends the subscription. Returns the reason.
    pub async fn ended(&mut self) -> Value {
        let mut message = timeout(TIMEOUT, self.frame("system")).await.expect("the end of the subscription");
        timeout(TIMEOUT, self.frame("phx_close")).await.expect("a close");
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
        let mut channel = Self { socket, topic, version: version.to_owned() };
        let payload = json!({
            "config": {
                "broadcast": { "ack": false, "self": false }, "presence": { "key": "" },
                "postgres_changes": [], "private": private,
            },
            "access_token": token,
        });
        channel.send(&channel.topic.clone(), "phx_join", &payload).await;
        let reply = timeout(TIMEOUT, channel.frame("phx_reply")).await.expect("an answer to phx_join");
        (channel, reply)
    }

    /// Sends a broadcast, as any client can try to.
    pub async fn broadcast(&mut self, event: &str, payload: &Value) {
        let payload = json!({ "type": "broadcast", "event": event, "payload": payload });
        self.send(&self.topic.clone(), "broadcast", &payload).await;
    }

    /// Returns the payload of the next broadcast, which must have this event.
    pub async fn next(&mut self, event: &str) -> Value {
        let mut broadcast = timeout(TIMEOUT, self.frame("broadcast")).await.expect(event);
        assert_eq!(
            (&broadcast["type"], &broadcast["event"]),
            (&json!("broadcast"), &json!(event)),
            "{broadcast}"
        );
        broadcast["payload"].take()
    }

    /// Asserts that there has been no further broadcast. Call it when all work that could broadcast is done:
    /// [`Chat::settle`](crate::Chat::settle), [`Function::settle`](crate::Function::settle).
    ///
    /// The server sends the reply to a heartbeat after all frames that it has sent before, so the reply must be the next frame.
    pub async fn is_silent(&mut self) {
        self.send(HEARTBEAT_TOPIC, "heartbeat", &json!({})).await;
        let next = async {
            loop {
                let frame = self.any_frame().await;
                if frame["event"] == "broadcast" || frame["topic"] == HEARTBEAT_TOPIC {
                    return frame;
                }
            }
        };
        let next = timeout(TIMEOUT, next).await.expect("a reply to the heartbeat");
        assert_eq!(next["topic"], HEARTBEAT_TOPIC, "unexpected broadcast: {next}");
    }

    /// Sends a frame.
    async fn send(&mut self, topic: &str, event: &str, payload: &Value) {
        let frame = if self.version == NEWEST {
            json!(["1", "1", topic, event, payload])
        } else {
            json!({ "topic": topic, "event": event, "payload": payload, "ref": "1", "join_ref": "1" })
        };
        self.socket.send(Message::text(frame.to_string())).await.unwrap();
    }

    /// Returns the payload of the next frame of this channel with this event.
    async fn frame(&mut self, event: &str) -> Value {
        loop {
            let mut frame = self.any_frame().await;
            if frame["topic"] == self.topic && frame["event"] == event {
                return frame["payload"].take();
            }
        }
    }

    /// Returns the next frame, in the form of version 1.
    async fn any_frame(&mut self) -> Value {
        loop {
            let message = self.socket.next().await.expect("an open socket").unwrap();
            let Message::Text(text) = message else { continue };
            let frame: Value = serde_json::from_str(&text).unwrap();
            return match frame.as_array() {
                Some(fields) => json!({ "topic": fields[2], "event": fields[3], "payload": fields[4] }),
                None => frame,
            };
        }
    }
}
