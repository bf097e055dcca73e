//! A receiver of the demo tenant's webhooks. It prints each event and whether its signature is valid, and can be made to
//! fail.

use crate::console::Console;
use crate::postgres;
use admin::secret::new_webhook_secret;
use anyhow::Context;
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use parking_lot::Mutex;
use serde_json::Value;
use standardwebhooks::Webhook;
use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::net::TcpListener;

/// The id of the demo tenant's endpoint.
pub(crate) const ENDPOINT: &str = "eeeeeeee-0000-4000-8000-000000000001";

/// The maximum number of events for which the validity of the signature is kept.
const MAX_REMEMBERED: usize = 1_000;

/// The state of the receiver.
pub(crate) struct Receiver {
    webhook: Webhook,
    console: Arc<Console>,
    /// Whether the signature was valid, by event.
    signatures: Mutex<HashMap<String, bool>>,
    /// Whether it responds with 500.
    pub(crate) fails: AtomicBool,
}

impl Receiver {
    /// Returns whether an event's signature was valid, or `None` if the event hasn't arrived.
    pub(crate) fn signature(&self, event: &str) -> Option<bool> {
        self.signatures.lock().get(event).copied()
    }
}

/// Starts the receiver and registers it as the demo tenant's endpoint.
pub(crate) async fn start(database_url: &str, console: Arc<Console>) -> anyhow::Result<Arc<Receiver>> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let url = format!("http://{}/", listener.local_addr()?);
    let secret = new_webhook_secret();
    let client = postgres::connect(database_url).await?;
    let row = client
        .query_opt(include_str!("webhook-receiver.sql"), &[&url, &secret, &ENDPOINT])
        .await?
        .context("the demo tenant is missing")?;
    let receiver = Arc::new(Receiver {
        webhook: Webhook::new(row.get(0))?,
        console,
        signatures: Mutex::default(),
        fails: AtomicBool::default(),
    });
    let app = Router::new().route("/", post(receive)).with_state(receiver.clone());
    tokio::spawn(axum::serve(listener, app).into_future());
    Ok(receiver)
}

async fn receive(State(receiver): State<Arc<Receiver>>, headers: HeaderMap, body: String) -> StatusCode {
    let verified = receiver.webhook.verify(body.as_bytes(), &headers);
    if let Some(id) = headers.get("webhook-id").and_then(|id| id.to_str().ok()) {
        let mut signatures = receiver.signatures.lock();
        if signatures.len() >= MAX_REMEMBERED {
            signatures.clear();
        }
        signatures.insert(id.to_owned(), verified.is_ok());
    }
    let verdict = match verified {
        Ok(()) => "signature valid".to_owned(),
        Err(error) => error.to_string(),
    };
    let event: Value = serde_json::from_str(&body).unwrap_or_default();
    let kind = event.get("type").and_then(Value::as_str).unwrap_or("no event");
    receiver.console.request(&format!("webhook {kind}, {verdict}: {body}"));
    if receiver.fails.load(Ordering::Relaxed) { StatusCode::INTERNAL_SERVER_ERROR } else { StatusCode::OK }
}
