//! A stand-in for a Supabase project: Realtime and Storage on one port.

pub(crate) mod keys;
mod realtime;
mod server;
pub(crate) mod storage;

pub(crate) use realtime::{Authorization, SCHEMA as DATABASE};

use crate::faults::{self, Faults};
use axum::Router;
use axum::http::StatusCode;
use axum::response::Json;
use serde_json::json;
use std::sync::Arc;
use storage::Storage;
use tokio::net::TcpListener;
use tower_http::cors::{AllowHeaders, AllowMethods, Any, CorsLayer};

/// Serves the project until the program ends.
pub(crate) async fn serve(
    listener: TcpListener,
    authorization: Authorization,
    storage: Storage,
    faults: Arc<Faults>,
) {
    let cors = CorsLayer::new()
        .allow_origin(Any)
        .allow_methods(AllowMethods::mirror_request())
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers(Any);
    let app = Router::new()
        .merge(realtime::router(authorization))
        .merge(storage.router())
        .merge(faults::router(faults.clone()))
        .fallback(async || {
            (StatusCode::NOT_FOUND, Json(json!({ "message": "no Route matched with those values" })))
        })
        .layer(cors);
    server::serve(listener, app, faults).await;
}
