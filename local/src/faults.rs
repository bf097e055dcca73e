//! Faults on demand, and what tests need to know about functions. Both are on the port of the Supabase stand-in.
//!
//! `POST /__faults` sets all faults, and `{}` ends them. The response comes when they are in effect. `GET /__invocations`
//! returns the request ids of the invocations under way.

use crate::pooler::Pooler;
use crate::postgres::Cluster;
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{Response, StatusCode};
use axum::response::{IntoResponse, Json};
use axum::routing::{get, post};
use nix::sys::signal::Signal;
use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::json;
use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// The current faults, and the servers that can be stopped.
pub(crate) struct Faults {
    wanted: Mutex<Wanted>,
    under_way: Mutex<BTreeSet<String>>,
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

/// The faults of an HTTP service, in the order in which they are applied to each request.
#[derive(Clone, Copy, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct HttpFault {
    /// The delay before anything else, in milliseconds.
    delay_ms: u64,
    /// Whether the connection is closed without a response.
    reset: bool,
    /// Whether there is never a response.
    hang: bool,
    /// The status of the response.
    status: Option<u16>,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct ServerFault {
    /// The way in which the server is stopped. It runs if this is missing.
    down: Option<Shutdown>,
}

/// The shutdown modes of Postgres: orderly, or as in a crash.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Shutdown {
    Fast,
    Immediate,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct FunctionFault {
    /// Whether a function's process is killed as soon as it has responded.
    kill_after_response: bool,
}

impl Faults {
    /// Creates the control, without faults.
    pub(crate) fn new(postgres: Option<Arc<Cluster>>, pooler: Option<Arc<Pooler>>) -> Self {
        Self { wanted: Mutex::default(), under_way: Mutex::default(), postgres, pooler }
    }

    /// Returns the fault of a request to this path of the Supabase stand-in.
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

    /// Whether functions are killed after their responses.
    pub(crate) fn kill_after_response(&self) -> bool {
        self.wanted.lock().functions.kill_after_response
    }

    /// Records an invocation, until the result is dropped.
    pub(crate) fn invocation(&self, request_id: String) -> UnderWay<'_> {
        self.under_way.lock().insert(request_id.clone());
        UnderWay { faults: self, request_id }
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
    /// Applies the fault. Returns the response that it causes, an error to close the connection, or `None` to go on.
    pub(crate) async fn apply(self) -> io::Result<Option<Response<Body>>> {
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

/// An invocation, from before its event to the end of the work after its response.
pub(crate) struct UnderWay<'a> {
    faults: &'a Faults,
    request_id: String,
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.faults.under_way.lock().remove(&self.request_id);
    }
}

/// Returns the routes `/__faults` and `/__invocations`.
pub(crate) fn router(faults: Arc<Faults>) -> Router {
    Router::new().route("/__faults", post(set)).route("/__invocations", get(invocations)).with_state(faults)
}

async fn invocations(State(faults): State<Arc<Faults>>) -> Json<BTreeSet<String>> {
    Json(faults.under_way.lock().clone())
}

async fn set(
    State(faults): State<Arc<Faults>>,
    Json(wanted): Json<Wanted>,
) -> Result<(), (StatusCode, String)> {
    faults.set(wanted).await.map_err(|error| (StatusCode::INTERNAL_SERVER_ERROR, format!("{error:#}")))
}
