//! Supabase Realtime: channels over a websocket, and broadcasts over HTTP.

use super::frames::{Frame, Version, broadcast_payload};
use super::hub::{Channel, Hub};
use super::keys::{Keys, Role};
use axum::Router;
use axum::body::Body;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::{HeaderMap, Response, StatusCode};
use axum::response::{IntoResponse, Json};
use axum::routing::{any, post};
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::mpsc;

/// The limit of the free plan, in bytes.
const MAX_PAYLOAD: usize = 256 * 1024;

const TOPIC_PREFIX: &str = "realtime:";

struct Realtime {
    keys: Keys,
    hub: Hub,
}

/// Its routes.
pub(crate) fn router(keys: Keys) -> Router {
    Router::new()
        .route("/realtime/v1/websocket", any(websocket))
        .route("/realtime/v1/api/broadcast", post(broadcast))
        .route(
            "/realtime/v1/api/broadcast/{topic}/events/{event}",
            post(broadcast_one),
        )
        .layer(DefaultBodyLimit::max(32 * 1024 * 1024))
        .with_state(Arc::new(Realtime {
            keys,
            hub: Hub::default(),
        }))
}

#[derive(Deserialize)]
struct Batch {
    messages: Vec<Outgoing>,
}

#[derive(Deserialize)]
struct Outgoing {
    topic: String,
    event: String,
    payload: serde_json::Map<String, Value>,
    #[serde(default)]
    private: bool,
}

async fn broadcast(State(realtime): State<Arc<Realtime>>, headers: HeaderMap, body: Bytes) -> Response<Body> {
    match serde_json::from_slice::<Batch>(&body) {
        Ok(batch) if !batch.messages.is_empty() => realtime.send_all(&headers, batch.messages),
        Ok(_) => realtime.refuse(&headers, &json!({ "messages": ["can't be blank"] })),
        Err(error) => realtime.refuse(&headers, &json!({ "messages": [error.to_string()] })),
    }
}

#[derive(Deserialize)]
struct Single {
    #[serde(default)]
    private: bool,
}

async fn broadcast_one(
    State(realtime): State<Arc<Realtime>>,
    Path((topic, event)): Path<(String, String)>,
    Query(Single { private }): Query<Single>,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    match serde_json::from_slice(&body) {
        Ok(payload) => realtime.send_all(
            &headers,
            vec![Outgoing {
                topic,
                event,
                payload,
                private,
            }],
        ),
        Err(error) => realtime.refuse(&headers, &json!({ "payload": [error.to_string()] })),
    }
}

impl Realtime {
    fn send_all(&self, headers: &HeaderMap, messages: Vec<Outgoing>) -> Response<Body> {
        let too_large = |message: &Outgoing| json!(message.payload).to_string().len() > MAX_PAYLOAD;
        if messages.iter().any(too_large) {
            return self.refuse(
                headers,
                &json!({ "payload": ["Payload size exceeds tenant limit"] }),
            );
        }
        let Some(role) = self.keys.role_of_request(headers) else {
            return unauthorized();
        };
        // As the real server does: a private message that the caller may not send is dropped without a word.
        for message in messages
            .into_iter()
            .filter(|message| !message.private || role == Role::Service)
        {
            let channel = Channel {
                topic: format!("{TOPIC_PREFIX}{}", message.topic),
                private: message.private,
            };
            let payload = broadcast_payload(&message.event, Value::Object(message.payload));
            self.hub.publish(&channel, payload, None);
        }
        StatusCode::ACCEPTED.into_response()
    }

    fn refuse(&self, headers: &HeaderMap, errors: &Value) -> Response<Body> {
        match self.keys.role_of_request(headers) {
            Some(_) => (
                StatusCode::UNPROCESSABLE_ENTITY,
                Json(json!({ "errors": errors })),
            )
                .into_response(),
            None => unauthorized(),
        }
    }
}

fn unauthorized() -> Response<Body> {
    (
        StatusCode::UNAUTHORIZED,
        Json(json!({ "message": "Unauthorized" })),
    )
        .into_response()
}

async fn websocket(
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
    let version = if query.get("vsn").is_some_and(|vsn| vsn == "2.0.0") {
        Version::V2
    } else {
        Version::V1
    };
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
        hub: &realtime.hub,
        role,
        sender,
    };
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
            "heartbeat" => self.reply(frame, "ok", &json!({})),
            "phx_join" => self.join(frame),
            "phx_leave" => {
                self.hub.leave(self.id, &frame.topic);
                self.reply(frame, "ok", &json!({}));
                self.send(frame, "phx_close", json!({}));
            }
            "broadcast" => self.broadcast(frame),
            // Presence and a renewed token need no reply.
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
        let flag = |path| {
            frame
                .payload
                .pointer(path)
                .and_then(Value::as_bool)
                .unwrap_or_default()
        };
        self.hub.join(
            &Channel {
                topic: frame.topic.clone(),
                private: flag("/config/private"),
            },
            super::hub::Member {
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
        let reply = Frame {
            event: "phx_reply".to_owned(),
            payload,
            ..frame.clone()
        };
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
