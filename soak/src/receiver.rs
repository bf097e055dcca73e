//! A receiver of webhooks that can fail on demand. It counts the events that it accepts.

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::future::IntoFuture;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::time::sleep;

/// The receiver's reaction to events.
#[derive(Clone, Copy, Debug, Default)]
pub enum Behavior {
    #[default]
    Accepts,
    Fails,
    Hangs,
    /// Accepts events, but responds only after [`LATE`].
    RespondsLate,
}

/// A delay that is longer than a function's own attempt may take, and shorter than the timeout of deliver-webhooks.
const LATE: Duration = Duration::from_millis(4_500);

/// A running receiver.
#[derive(Default)]
pub struct Receiver {
    behavior: Mutex<Behavior>,
    /// The number of times that each event was accepted, by `webhook-id`.
    accepted: Mutex<HashMap<String, u64>>,
}

impl Receiver {
    /// Starts a receiver. Returns it and its URL.
    pub async fn start() -> anyhow::Result<(Arc<Self>, String)> {
        let receiver = Arc::new(Self::default());
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}/", listener.local_addr()?);
        let app = Router::new().route("/", post(receive)).with_state(receiver.clone());
        tokio::spawn(axum::serve(listener, app).into_future());
        Ok((receiver, url))
    }

    pub fn set(&self, behavior: Behavior) {
        *self.behavior.lock() = behavior;
    }

    pub fn has_accepted(&self, id: &str) -> bool {
        self.accepted.lock().contains_key(id)
    }

    /// Returns the number of accepted events, and how many were accepted again.
    pub fn counts(&self) -> (usize, u64) {
        let accepted = self.accepted.lock();
        (accepted.len(), accepted.values().map(|times| times - 1).sum())
    }
}

/// While it is disturbed, its responses contain the event, so that the outbox contains it twice.
async fn receive(
    State(receiver): State<Arc<Receiver>>,
    headers: HeaderMap,
    event: String,
) -> (StatusCode, String) {
    let behavior = *receiver.behavior.lock();
    let response = match behavior {
        Behavior::Fails => return (StatusCode::INTERNAL_SERVER_ERROR, event),
        Behavior::Hangs => std::future::pending().await,
        Behavior::RespondsLate => {
            sleep(LATE).await;
            event
        }
        Behavior::Accepts => String::new(),
    };
    let id = headers.get("webhook-id").and_then(|id| id.to_str().ok()).unwrap_or_default();
    *receiver.accepted.lock().entry(id.to_owned()).or_default() += 1;
    (StatusCode::OK, response)
}
