//! The Runtime API and the Extensions API of one execution environment.
//!
//! The runtime and each extension poll for their next event. While all of them wait, the environment is idle, and Lambda
//! freezes it. An invocation gives an event to each of them.

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, Response, StatusCode};
use axum::response::{IntoResponse, Json};
use axum::routing::{get, post};
use bytes::Bytes;
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::{oneshot, watch};
use uuid::Uuid;

/// An event on its way to a function.
pub(crate) struct Invocation {
    pub(crate) request_id: String,
    pub(crate) event: Bytes,
    pub(crate) arn: String,
    /// Milliseconds since 1970.
    pub(crate) deadline: i64,
}

/// The function's response, or its error as JSON.
pub(crate) type Outcome = Result<Bytes, Bytes>;

/// The server side of both APIs, for one environment.
pub(crate) struct RuntimeApi {
    function: String,
    state: Mutex<Pollers>,
    idle: watch::Sender<bool>,
}

#[derive(Default)]
struct Pollers {
    runtime: Poller,
    extensions: BTreeMap<String, Extension>,
    invocation: Option<(String, oneshot::Sender<Outcome>)>,
}

/// The channel for the next event, if the runtime or extension is waiting for it.
type Poller = Option<oneshot::Sender<Response<Body>>>;

struct Extension {
    poller: Poller,
    wants_invoke: bool,
}

impl Pollers {
    fn all_wait(&self) -> bool {
        self.runtime.is_some() && self.extensions.values().all(|extension| extension.poller.is_some())
    }
}

impl RuntimeApi {
    pub(crate) fn new(function: String) -> Arc<Self> {
        Arc::new(Self { function, state: Mutex::default(), idle: watch::Sender::new(false) })
    }

    /// Waits until the runtime and every extension wait for their next event.
    pub(crate) async fn idle(&self) {
        let mut idle = self.idle.subscribe();
        let _never_closed = idle.wait_for(|idle| *idle).await;
    }

    /// Gives an invocation to an idle environment.
    pub(crate) fn deliver(&self, invocation: &Invocation) -> oneshot::Receiver<Outcome> {
        let (sender, receiver) = oneshot::channel();
        let mut state = self.state.lock();
        state.invocation = Some((invocation.request_id.clone(), sender));
        if let Some(runtime) = state.runtime.take() {
            let _gone = runtime.send(runtime_event(invocation));
        }
        for extension in state.extensions.values_mut().filter(|extension| extension.wants_invoke) {
            if let Some(poller) = extension.poller.take() {
                let _gone = poller.send(extension_event(invocation));
            }
        }
        self.idle.send_replace(false);
        receiver
    }

    /// Registers a poller and waits for its event.
    async fn wait(&self, place: impl FnOnce(&mut Pollers) -> Option<&mut Poller>) -> Response<Body> {
        let (sender, event) = oneshot::channel();
        {
            let mut state = self.state.lock();
            let Some(poller) = place(&mut state) else {
                return error(StatusCode::FORBIDDEN, "Extension.UnknownExtensionIdentifier");
            };
            *poller = Some(sender);
            self.idle.send_replace(state.all_wait());
        }
        event.await.unwrap_or_else(|_| error(StatusCode::CONFLICT, "Runtime.PolledTwice"))
    }

    fn finish(&self, request_id: &str, outcome: Outcome) -> Response<Body> {
        let invocation = self.state.lock().invocation.take_if(|(id, _)| id == request_id);
        match invocation {
            Some((_, sender)) => {
                let _timed_out = sender.send(outcome);
                accepted()
            }
            None => error(StatusCode::BAD_REQUEST, "InvalidRequestID"),
        }
    }
}

/// Serves both APIs.
pub(crate) fn router(api: Arc<RuntimeApi>) -> Router {
    Router::new()
        .route("/2018-06-01/runtime/invocation/next", get(next_invocation))
        .route("/2018-06-01/runtime/invocation/{id}/response", post(invocation_response))
        .route("/2018-06-01/runtime/invocation/{id}/error", post(invocation_error))
        .route("/2018-06-01/runtime/init/error", post(failure))
        .route("/2020-01-01/extension/register", post(register))
        .route("/2020-01-01/extension/event/next", get(next_extension_event))
        .route("/2020-01-01/extension/init/error", post(failure))
        .route("/2020-01-01/extension/exit/error", post(failure))
        .layer(DefaultBodyLimit::disable())
        .with_state(api)
}

async fn next_invocation(State(api): State<Arc<RuntimeApi>>) -> Response<Body> {
    api.wait(|pollers| Some(&mut pollers.runtime)).await
}

async fn invocation_response(
    State(api): State<Arc<RuntimeApi>>,
    Path(id): Path<String>,
    body: Bytes,
) -> Response<Body> {
    api.finish(&id, Ok(body))
}

async fn invocation_error(
    State(api): State<Arc<RuntimeApi>>,
    Path(id): Path<String>,
    body: Bytes,
) -> Response<Body> {
    api.finish(&id, Err(body))
}

/// Logs an error of the runtime or an extension. The process ends after it, and Lambda reacts to the end.
async fn failure(State(api): State<Arc<RuntimeApi>>, body: String) -> Response<Body> {
    eprintln!("{} failed: {body}", api.function);
    accepted()
}

async fn register(State(api): State<Arc<RuntimeApi>>, Json(request): Json<Value>) -> Response<Body> {
    let id = Uuid::new_v4().to_string();
    let events = request.get("events").and_then(Value::as_array);
    let extension = Extension {
        poller: None,
        wants_invoke: events.is_some_and(|events| events.iter().any(|event| event == "INVOKE")),
    };
    let mut state = api.state.lock();
    state.extensions.insert(id.clone(), extension);
    api.idle.send_replace(false);
    let about = json!({
        "functionName": api.function,
        "functionVersion": "$LATEST",
        "handler": "bootstrap",
        "accountId": "123456789012",
    });
    ([("lambda-extension-identifier", id)], Json(about)).into_response()
}

async fn next_extension_event(State(api): State<Arc<RuntimeApi>>, headers: HeaderMap) -> Response<Body> {
    let id = headers.get("lambda-extension-identifier").and_then(|id| id.to_str().ok()).unwrap_or_default();
    api.wait(|pollers| Some(&mut pollers.extensions.get_mut(id)?.poller)).await
}

fn runtime_event(invocation: &Invocation) -> Response<Body> {
    let headers = [
        ("lambda-runtime-aws-request-id", invocation.request_id.clone()),
        ("lambda-runtime-deadline-ms", invocation.deadline.to_string()),
        ("lambda-runtime-invoked-function-arn", invocation.arn.clone()),
        ("lambda-runtime-trace-id", trace_id(invocation)),
        ("content-type", "application/json".to_owned()),
    ];
    (axum::response::AppendHeaders(headers), invocation.event.clone()).into_response()
}

fn extension_event(invocation: &Invocation) -> Response<Body> {
    Json(json!({
        "eventType": "INVOKE",
        "deadlineMs": invocation.deadline,
        "requestId": invocation.request_id,
        "invokedFunctionArn": invocation.arn,
        "tracing": { "type": "X-Amzn-Trace-Id", "value": trace_id(invocation) },
    }))
    .into_response()
}

fn trace_id(invocation: &Invocation) -> String {
    let random = invocation.request_id.replace('-', "");
    format!("Root=1-{:08x}-{:.24};Sampled=0", invocation.deadline / 1000, random)
}

fn accepted() -> Response<Body> {
    (StatusCode::ACCEPTED, Json(json!({ "status": "OK" }))).into_response()
}

fn error(status: StatusCode, kind: &str) -> Response<Body> {
    (status, Json(json!({ "errorType": kind, "errorMessage": kind }))).into_response()
}
