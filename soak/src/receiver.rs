//! A receiver of webhooks, which isn't always well. It remembers what it has taken.

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

/// How it answers.
#[derive(Clone, Copy, Debug, Default)]
pub enum Mood {
    #[default]
    Well,
    Failing,
    Hanging,
    /// It takes an event, and says so after [`LATE`].
    Late,
}

/// Later than a function waits after its response, and earlier than deliver-webhooks gives up.
const LATE: Duration = Duration::from_millis(4_500);

/// The receiver.
#[derive(Default)]
pub struct Receiver {
    mood: Mutex<Mood>,
    /// How often it has taken each event, by `webhook-id`.
    taken: Mutex<HashMap<String, u64>>,
}

impl Receiver {
    /// Starts it, and gives its address.
    pub async fn start() -> anyhow::Result<(Arc<Self>, String)> {
        let receiver = Arc::new(Self::default());
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}/", listener.local_addr()?);
        let app = Router::new().route("/", post(receive)).with_state(receiver.clone());
        tokio::spawn(axum::serve(listener, app).into_future());
        Ok((receiver, url))
    }

    pub fn set(&self, mood: Mood) {
        *self.mood.lock() = mood;
    }

    pub fn has_taken(&self, id: &str) -> bool {
        self.taken.lock().contains_key(id)
    }

    /// How many events it has taken, and how many of them again.
    pub fn counts(&self) -> (usize, u64) {
        let taken = self.taken.lock();
        (taken.len(), taken.values().map(|times| times - 1).sum())
    }
}

async fn receive(State(receiver): State<Arc<Receiver>>, headers: HeaderMap) -> StatusCode {
    let mood = *receiver.mood.lock();
    match mood {
        Mood::Failing => return StatusCode::INTERNAL_SERVER_ERROR,
        Mood::Hanging => std::future::pending::<()>().await,
        Mood::Late => sleep(LATE).await,
        Mood::Well => {}
    }
    let id = headers.get("webhook-id").and_then(|id| id.to_str().ok()).unwrap_or_default();
    *receiver.taken.lock().entry(id.to_owned()).or_default() += 1;
    StatusCode::NO_CONTENT
}
