//! Realtime channels over a websocket.

use super::frames::{Frame, Version};
use super::hub::{Channel, Hub, Member};
use super::{Realtime, TOPIC_PREFIX, unauthorized};
use crate::supabase::keys::Role;
use axum::body::Body;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Query, State};
use axum::http::{HeaderMap, Response};
use futures_util::{SinkExt, StreamExt};
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::mpsc;

/// The interval at which expired subscriptions are ended.
const EXPIRY_CHECK_INTERVAL: Duration = Duration::from_millis(200);

/// Accepts a websocket from a client that has one of the project's keys.
pub(super) async fn websocket(
    State(realtime): State<Arc<Realtime>>,
    Query(query): Query<HashMap<String, String>>, // the last value of a repeated parameter counts, as in Phoenix
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Response<Body> {
    let role = match query.get("apikey") {
        Some(key) => realtime.authorization.keys.role(key),
        None => realtime.authorization.keys.role_of_request(&headers),
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
    let client = Client {
        id: realtime.hub.new_client(),
        realtime: &realtime,
        hub: &realtime.hub,
        role,
        sender,
        subscriptions: Mutex::default(),
    };
    let reading = async {
        while let Some(Ok(message)) = stream.next().await {
            if let Some(frame) = version.decode(&message) {
                client.handle(&frame).await;
            } else if matches!(message, Message::Text(_) | Message::Binary(_)) {
                break;
            }
        }
    };
    tokio::select! {
        () = client.end_expired() => {}
        () = reading => {}
        () = writing => {}
    }
    realtime.hub.leave_all(client.id);
}

/// One websocket.
struct Client<'a> {
    id: u64,
    realtime: &'a Realtime,
    hub: &'a Hub,
    role: Role,
    sender: mpsc::UnboundedSender<Frame>,
    /// The channels that it has joined, by topic.
    subscriptions: Mutex<HashMap<String, Subscription>>,
}

/// The subscription to a channel, which lasts until its token expires.
struct Subscription {
    /// The frame of the join.
    frame: Frame,
    private: bool,
    expires: SystemTime,
}

impl Client<'_> {
    async fn handle(&self, frame: &Frame) {
        match frame.event.as_str() {
            "heartbeat" | "presence" => self.reply(frame, "ok", &json!({})),
            "phx_join" => self.join(frame).await,
            "access_token" => self.renew(frame).await,
            "phx_leave" => {
                self.subscriptions.lock().remove(&frame.topic);
                self.hub.leave(self.id, &frame.topic);
                self.reply(frame, "ok", &json!({}));
                self.send(frame, "phx_close", json!({}));
            }
            "broadcast" => self.broadcast(frame),
            _ => {}
        }
    }

    async fn join(&self, frame: &Frame) {
        if frame.topic.len() <= TOPIC_PREFIX.len() || !frame.topic.starts_with(TOPIC_PREFIX) {
            return self.reply(
                frame,
                "error",
                &json!({ "reason": "TopicNameRequired: You must provide a topic name" }),
            );
        }
        let flag = |path: &str| frame.payload.pointer(path).and_then(Value::as_bool).unwrap_or_default();
        let private = flag("/config/private");
        let expires = match self.authorize(frame, private).await {
            Ok(expires) => expires,
            Err(reason) => return self.reply(frame, "error", &json!({ "reason": reason })),
        };
        let subscription = Subscription { frame: frame.clone(), private, expires };
        self.subscriptions.lock().insert(frame.topic.clone(), subscription);
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

    /// Checks the token of a frame, or else the client's key. Returns its expiry, or the reason for a refusal.
    async fn authorize(&self, frame: &Frame, private: bool) -> Result<SystemTime, String> {
        if self.realtime.authorization.private_only && !private {
            return Err("PrivateOnly: This project only allows private channels".to_owned());
        }
        let token = frame.payload.get("access_token").and_then(Value::as_str);
        let token = token.filter(|token| !token.starts_with("sb_"));
        let keys = &self.realtime.authorization.keys;
        let own = if self.role == Role::Service { &keys.service } else { &keys.anon };
        let caller = self.realtime.authorization.caller(token.unwrap_or(own))?;
        if private && caller.role != "service_role" {
            let topic = frame.topic.strip_prefix(TOPIC_PREFIX).unwrap_or_default();
            let may_read = self.realtime.authorization.may_read(&caller, topic).await;
            if !may_read.map_err(|error| format!("UnableToSetPolicies: {error}"))? {
                return Err(
                    "Unauthorized: You do not have permissions to read from this Channel topic".to_owned()
                );
            }
        }
        Ok(caller.expires)
    }

    /// Takes a new token, without a reply. An invalid token ends the subscription.
    async fn renew(&self, frame: &Frame) {
        let Some(private) =
            self.subscriptions.lock().get(&frame.topic).map(|subscription| subscription.private)
        else {
            return;
        };
        match self.authorize(frame, private).await {
            Ok(expires) => {
                if let Some(subscription) = self.subscriptions.lock().get_mut(&frame.topic) {
                    subscription.expires = expires;
                }
            }
            Err(reason) => self.end(&frame.topic, &reason),
        }
    }

    /// Ends a subscription as the real server does, with a message that has the reason, and a close.
    fn end(&self, topic: &str, reason: &str) {
        let Some(Subscription { frame, .. }) = self.subscriptions.lock().remove(topic) else {
            return;
        };
        self.hub.leave(self.id, topic);
        let channel = topic.strip_prefix(TOPIC_PREFIX);
        let message =
            json!({ "status": "error", "extension": "system", "message": reason, "channel": channel });
        self.send(&frame, "system", message);
        self.send(&frame, "phx_close", json!({}));
    }

    /// Ends subscriptions when their tokens expire. Never returns.
    async fn end_expired(&self) {
        loop {
            tokio::time::sleep(EXPIRY_CHECK_INTERVAL).await;
            let now = SystemTime::now();
            let expired: Vec<_> = self
                .subscriptions
                .lock()
                .iter()
                .filter(|(_, subscription)| subscription.expires <= now)
                .map(|(topic, _)| topic.clone())
                .collect();
            for topic in expired {
                self.end(&topic, "Access token has expired");
            }
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

#[cfg(test)]
mod tests {
    use crate::supabase::keys::{ANON_KEY, Keys, SERVICE_ROLE_KEY};
    use crate::supabase::realtime::{Authorization, router};
    use futures_util::{SinkExt, StreamExt};
    use serde_json::{Value, json};
    use tokio::net::TcpListener;
    use tokio_tungstenite::connect_async;
    use tokio_tungstenite::tungstenite::Message;

    /// The reply to a request to join a public channel.
    async fn reply(private_only: bool) -> Value {
        let keys = Keys { anon: ANON_KEY.to_owned(), service: SERVICE_ROLE_KEY.to_owned() };
        let project = router(Authorization::new(keys, String::new(), private_only).unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(axum::serve(listener, project).into_future());
        let url = format!("ws://{address}/realtime/v1/websocket?apikey={ANON_KEY}&vsn=2.0.0");
        let (mut socket, _) = connect_async(url).await.unwrap();
        let join = json!(["1", "1", "realtime:conv:1", "phx_join", { "config": { "private": false } }]);
        socket.send(Message::text(join.to_string())).await.unwrap();
        let frame = socket.next().await.unwrap().unwrap();
        let mut frame: Value = serde_json::from_str(frame.to_text().unwrap()).unwrap();
        frame[4].take()
    }

    #[tokio::test]
    async fn a_project_without_public_access_refuses_public_channels() {
        assert_eq!(reply(false).await["status"], "ok");
        let refused = reply(true).await;
        assert_eq!(refused["status"], "error");
        assert_eq!(refused["response"]["reason"], "PrivateOnly: This project only allows private channels");
    }
}
