//! Channels over a websocket.

use super::frames::{Frame, Version};
use super::hub::{Channel, Hub, Member};
use super::{Realtime, TOPIC_PREFIX, unauthorized};
use crate::supabase::keys::Role;
use axum::body::Body;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Query, State};
use axum::http::{HeaderMap, Response};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::mpsc;

/// What the public key may listen to in private, as supabase/migrations has it. It may send nothing there.
const LISTENABLE: &str = "realtime:conv:";

/// Accepts a websocket from whoever has one of the project's keys.
pub(super) async fn websocket(
    State(realtime): State<Arc<Realtime>>,
    Query(query): Query<HashMap<String, String>>, // of a parameter given twice the last counts, as in Phoenix
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Response<Body> {
    let role = match query.get("apikey") {
        Some(key) => realtime.keys.role(key),
        None => realtime.keys.role_of_request(&headers),
    };
    let Some(role) = role else {
        return unauthorized();
    };
    let version = if query.get("vsn").is_some_and(|vsn| vsn == "2.0.0") { Version::V2 } else { Version::V1 };
    upgrade.on_upgrade(move |socket| converse(realtime, socket, version, role))
}

async fn converse(realtime: Arc<Realtime>, socket: WebSocket, version: Version, role: Role) {
    let (mut sink, mut stream) = socket.split();
    let (sender, mut outgoing) = mpsc::unbounded_channel::<Frame>();
    let writing = async {
        while let Some(frame) = outgoing.recv().await {
            if sink.send(version.encode(&frame)).await.is_err() {
                break;
            }
        }
    };
    let client = Client { id: realtime.hub.new_client(), hub: &realtime.hub, role, sender };
    let reading = async {
        while let Some(Ok(message)) = stream.next().await {
            if let Some(frame) = version.decode(&message) {
                client.handle(&frame);
            } else if matches!(message, Message::Text(_) | Message::Binary(_)) {
                break;
            }
        }
    };
    tokio::select! {
        () = reading => {}
        () = writing => {}
    }
    realtime.hub.leave_all(client.id);
}

/// One websocket.
struct Client<'a> {
    id: u64,
    hub: &'a Hub,
    role: Role,
    sender: mpsc::UnboundedSender<Frame>,
}

impl Client<'_> {
    fn handle(&self, frame: &Frame) {
        match frame.event.as_str() {
            "heartbeat" | "presence" => self.reply(frame, "ok", &json!({})),
            "phx_join" => self.join(frame),
            "phx_leave" => {
                self.hub.leave(self.id, &frame.topic);
                self.reply(frame, "ok", &json!({}));
                self.send(frame, "phx_close", json!({}));
            }
            "broadcast" => self.broadcast(frame),
            // A renewed token, which gets no reply.
            _ => {}
        }
    }

    fn join(&self, frame: &Frame) {
        if frame.topic.len() <= TOPIC_PREFIX.len() || !frame.topic.starts_with(TOPIC_PREFIX) {
            return self.reply(
                frame,
                "error",
                &json!({ "reason": "TopicNameRequired: You must provide a topic name" }),
            );
        }
        let flag = |path: &str| frame.payload.pointer(path).and_then(Value::as_bool).unwrap_or_default();
        let private = flag("/config/private");
        if private && self.role == Role::Anon && !frame.topic.starts_with(LISTENABLE) {
            let reason = "Unauthorized: You do not have permissions to read from this Channel topic";
            return self.reply(frame, "error", &json!({ "reason": reason }));
        }
        self.hub.join(
            &Channel { topic: frame.topic.clone(), private },
            Member {
                client: self.id,
                sender: self.sender.clone(),
                own_broadcasts: flag("/config/broadcast/self"),
                acknowledge: flag("/config/broadcast/ack"),
            },
        );
        self.reply(frame, "ok", &json!({ "postgres_changes": [] }));
        if flag("/config/presence/enabled") {
            self.send(frame, "presence_state", json!({}));
        }
    }

    fn broadcast(&self, frame: &Frame) {
        let Some((channel, acknowledge)) = self.hub.membership(self.id, &frame.topic) else {
            return self.reply(frame, "error", &json!({ "reason": "unmatched topic" }));
        };
        if channel.private && self.role != Role::Service {
            return;
        }
        self.hub.publish(&channel, frame.payload.clone(), Some(self.id));
        if acknowledge {
            self.reply(frame, "ok", &json!({}));
        }
    }

    fn reply(&self, frame: &Frame, status: &str, response: &Value) {
        let payload = json!({ "status": status, "response": response });
        let reply = Frame { event: "phx_reply".to_owned(), payload, ..frame.clone() };
        let _closed = self.sender.send(reply);
    }

    fn send(&self, frame: &Frame, event: &str, payload: Value) {
        let message = Frame {
            join_ref: frame.join_ref.clone(),
            topic: frame.topic.clone(),
            event: event.to_owned(),
            payload,
            reference: None,
        };
        let _closed = self.sender.send(message);
    }
}
