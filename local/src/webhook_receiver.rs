//! A receiver of the demo tenant's webhooks. It prints each event and whether the signature is valid, and fails on request.

use crate::console::Console;
use crate::postgres;
use anyhow::Context;
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use base64::prelude::{BASE64_STANDARD, Engine};
use parking_lot::Mutex;
use serde_json::Value;
use standardwebhooks::Webhook;
use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::net::TcpListener;
use uuid::Uuid;

/// The id of the demo tenant's endpoint.
pub(crate) const ENDPOINT: &str = "eeeeeeee-0000-4000-8000-000000000001";

/// The most events whose signatures are remembered.
const MAX_REMEMBERED: usize = 1_000;

/// Sets the URL of the demo tenant's endpoint to this run's receiver. An existing endpoint keeps its secret.
const REGISTER: &str = "
    insert into tinychat.webhook_endpoints (id, tenant_id, url, events, secret)
    select $3::text::uuid, id, $1,
        '{message.created,message.updated,message.deleted,conversation.updated}', $2
    from tinychat.tenants
    where id = '11111111-2222-4333-8444-555555555555'
    on conflict (id) do update
        set url = excluded.url, events = excluded.events, disabled_at = null, failures = 0, held_until = null
    returning secret";

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
    let key: Vec<u8> = [Uuid::new_v4(), Uuid::new_v4()].iter().flat_map(|id| id.into_bytes()).collect();
    let secret = format!("whsec_{}", BASE64_STANDARD.encode(key));
    let client = postgres::connect(database_url).await?;
    let row = client
        .query_opt(REGISTER, &[&url, &secret, &ENDPOINT])
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
        Ok(()) => "signature good".to_owned(),
        Err(error) => error.to_string(),
    };
    let event: Value = serde_json::from_str(&body).unwrap_or_default();
    let kind = event.get("type").and_then(Value::as_str).unwrap_or("no event");
    receiver.console.request(&format!("webhook {kind}, {verdict}: {body}"));
    if receiver.fails.load(Ordering::Relaxed) { StatusCode::INTERNAL_SERVER_ERROR } else { StatusCode::OK }
}
