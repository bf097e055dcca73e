//! The broadcasts of Supabase Realtime: a message to a channel reaches all clients that have joined it.

mod authorization;
mod frames;
mod http;
mod hub;
mod socket;

pub(crate) use authorization::{Authorization, SCHEMA};
use axum::Router;
use axum::body::Body;
use axum::http::{Response, StatusCode};
use axum::response::{IntoResponse, Json};
use axum::routing::any;
use hub::Hub;
use serde_json::json;
use std::sync::Arc;

/// The prefix of a channel's name on the websocket.
const TOPIC_PREFIX: &str = "realtime:";

struct Realtime {
    authorization: Authorization,
    hub: Hub,
}

/// Returns the routes of Realtime.
pub(crate) fn router(authorization: Authorization) -> Router {
    Router::new()
        .route("/realtime/v1/websocket", any(socket::websocket))
        .merge(http::router())
        .with_state(Arc::new(Realtime { authorization, hub: Hub::default() }))
}

fn unauthorized() -> Response<Body> {
    let message = json!({ "message": "Unauthorized" });
    (StatusCode::UNAUTHORIZED, Json(message)).into_response()
}
