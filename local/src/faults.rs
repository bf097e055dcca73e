//! Faults on demand: `POST /__faults` on the Supabase stand-in's port, with what shall be wrong from now on. `{}` mends
//! everything. The answer comes when it is so.

use crate::pooler::Pooler;
use crate::postgres::Cluster;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{Response, StatusCode};
use axum::response::{IntoResponse, Json};
use axum::routing::post;
use nix::sys::signal::Signal;
use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::json;
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// What is wrong now, and the servers that can be taken down.
pub(crate) struct Faults {
    wanted: Mutex<Wanted>,
    postgres: Option<Arc<Cluster>>,
    pooler: Option<Arc<Pooler>>,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Wanted {
    realtime: HttpFault,
    storage: HttpFault,
    postgres: ServerFault,
    pooler: ServerFault,
    functions: FunctionFault,
}

/// What happens to an HTTP service's requests, in this order.
#[derive(Clone, Copy, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct HttpFault {
    /// Each request waits so long first.
    delay_ms: u64,
    /// The connection ends without an answer.
    reset: bool,
    /// There is never an answer.
    hang: bool,
    /// The answer is this status.
    status: Option<u16>,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct ServerFault {
    /// The server is down, and went down this way.
    down: Option<Shutdown>,
}

/// Postgres' words: in order, or as in a crash.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Shutdown {
    Fast,
    Immediate,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct FunctionFault {
    /// A function's process is killed as soon as it has answered.
    kill_after_answer: bool,
}

impl Faults {
    /// Nothing is wrong yet.
    pub(crate) fn new(postgres: Option<Arc<Cluster>>, pooler: Option<Arc<Pooler>>) -> Self {
        Self { wanted: Mutex::default(), postgres, pooler }
    }

    /// What happens to a request to this path of the Supabase stand-in.
    pub(crate) fn of_path(&self, path: &str) -> HttpFault {
        let wanted = self.wanted.lock();
        if path.starts_with("/realtime/") {
            wanted.realtime
        } else if path.starts_with("/storage/") {
            wanted.storage
        } else {
            HttpFault::default()
        }
    }

    /// Whether functions don't outlive their answers.
    pub(crate) fn kill_after_answer(&self) -> bool {
        self.wanted.lock().functions.kill_after_answer
    }

    async fn set(&self, wanted: Wanted) -> anyhow::Result<()> {
        *self.wanted.lock() = wanted;
        if let Some(postgres) = &self.postgres {
            match wanted.postgres.down {
                Some(Shutdown::Fast) => postgres.stop(Signal::SIGINT).await,
                Some(Shutdown::Immediate) => postgres.stop(Signal::SIGQUIT).await,
                None => postgres.resume().await?,
            }
        }
        if let Some(pooler) = &self.pooler {
            match wanted.pooler.down {
                Some(Shutdown::Fast) => pooler.stop(Signal::SIGINT).await,
                Some(Shutdown::Immediate) => pooler.stop(Signal::SIGKILL).await,
                None => pooler.resume().await?,
            }
        }
        Ok(())
    }
}

impl HttpFault {
    /// Lets it happen: an answer, an error for a connection that shall end, or nothing.
    pub(crate) async fn happen(self) -> io::Result<Option<Response<Body>>> {
        tokio::time::sleep(Duration::from_millis(self.delay_ms)).await;
        if self.reset {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        if self.hang {
            std::future::pending::<()>().await;
        }
        let status = self.status.and_then(|status| StatusCode::from_u16(status).ok());
        Ok(status.map(|status| (status, Json(json!({ "message": "a fault on demand" }))).into_response()))
    }
}

/// The switch.
pub(crate) fn router(faults: Arc<Faults>) -> Router {
    Router::new().route("/__faults", post(set)).with_state(faults)
}

async fn set(
    State(faults): State<Arc<Faults>>,
    Json(wanted): Json<Wanted>,
) -> Result<(), (StatusCode, String)> {
    faults.set(wanted).await.map_err(|error| (StatusCode::INTERNAL_SERVER_ERROR, format!("{error:#}")))
}
