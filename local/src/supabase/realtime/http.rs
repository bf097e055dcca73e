//! Broadcasts over HTTP, in batches and one by one.

use super::frames::broadcast_payload;
use super::hub::Channel;
use super::{Realtime, TOPIC_PREFIX, unauthorized};
use crate::supabase::keys::Role;
use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::{HeaderMap, Response, StatusCode};
use axum::response::{IntoResponse, Json};
use axum::routing::post;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

/// The limit of the free plan, in bytes.
const MAX_PAYLOAD: usize = 256 * 1024;

/// The largest batch, in bytes. It is far above `MAX_PAYLOAD`, so that a message that is too large gets its own error.
const MAX_BATCH: usize = 32 * 1024 * 1024;

/// Returns the routes for broadcasts.
pub(super) fn router() -> Router<Arc<Realtime>> {
    Router::new()
        .route("/realtime/v1/api/broadcast", post(broadcast))
        .route("/realtime/v1/api/broadcast/{topic}/events/{event}", post(broadcast_one))
        .layer(DefaultBodyLimit::max(MAX_BATCH))
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
        Ok(payload) => realtime.send_all(&headers, vec![Outgoing { topic, event, payload, private }]),
        Err(error) => realtime.refuse(&headers, &json!({ "payload": [error.to_string()] })),
    }
}

impl Realtime {
    fn send_all(&self, headers: &HeaderMap, messages: Vec<Outgoing>) -> Response<Body> {
        let too_large = |message: &Outgoing| json!(message.payload).to_string().len() > MAX_PAYLOAD;
        if messages.iter().any(too_large) {
            return self.refuse(headers, &json!({ "payload": ["Payload size exceeds tenant limit"] }));
        }
        let Some(role) = self.authorization.keys.role_of_request(headers) else {
            return unauthorized();
        };
        // Like the real server, this drops a private message that the caller may not send, without an error.
        for message in messages.into_iter().filter(|message| !message.private || role == Role::Service) {
            let channel =
                Channel { topic: format!("{TOPIC_PREFIX}{}", message.topic), private: message.private };
            let payload = broadcast_payload(&message.event, &Value::Object(message.payload));
            self.hub.publish(&channel, payload, None);
        }
        StatusCode::ACCEPTED.into_response()
    }

    fn refuse(&self, headers: &HeaderMap, errors: &Value) -> Response<Body> {
        match self.authorization.keys.role_of_request(headers) {
            Some(_) => (StatusCode::UNPROCESSABLE_ENTITY, Json(json!({ "errors": errors }))).into_response(),
            None => unauthorized(),
        }
    }
}
