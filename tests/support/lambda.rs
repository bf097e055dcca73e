//! A process of a function for one test, on a small Lambda Runtime API. Its settings can differ from the local cloud's, and it
//! can get events that API Gateway would never make.

use crate::request::{Key, Request};
use crate::{Chat, setting};
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{get, post};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::sync::{Mutex, mpsc};
use tokio::time::timeout;

/// A function's response to an event, or its error.
pub type Outcome = Result<Value, String>;

/// A running function. It is killed when it is dropped.
pub struct Function {
    name: String,
    events: mpsc::Sender<Value>,
    outcomes: mpsc::Receiver<Outcome>,
    lines: mpsc::UnboundedReceiver<String>,
    _process: Child,
}

struct RuntimeApi {
    events: Mutex<mpsc::Receiver<Value>>,
    outcomes: mpsc::Sender<Outcome>,
}

impl Function {
    /// Starts a function with the local cloud's settings, some of them changed.
    pub async fn start(name: &str, changes: &[(&str, &str)]) -> Self {
        Self::start_program(&binary(name), name, changes).await
    }

    /// Starts a function from another binary.
    pub async fn start_program(program: &Path, name: &str, changes: &[(&str, &str)]) -> Self {
        let (events, next_events) = mpsc::channel(1);
        let (next_outcomes, outcomes) = mpsc::channel(1);
        let api = RuntimeApi { events: Mutex::new(next_events), outcomes: next_outcomes };
        let address = serve(api).await;
        let mut process = command(program, name, &address, changes)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("{name}: {error}; the local cloud builds it"));
        // They are read at once, because a process whose pipe is full waits.
        let (log, lines) = mpsc::unbounded_channel();
        let mut stdout = BufReader::new(process.stdout.take().unwrap()).lines();
        tokio::spawn(async move {
            while let Ok(Some(line)) = stdout.next_line().await {
                if log.send(line).is_err() {
                    break;
                }
            }
        });
        Self { name: name.to_owned(), events, outcomes, lines, _process: process }
    }

    /// Starts a function that must fail at its start. Returns its standard error.
    pub async fn start_up_error(name: &str, changes: &[(&str, &str)]) -> String {
        let process = command(&binary(name), name, "127.0.0.1:1", changes).output();
        let output = timeout(Duration::from_secs(15), process).await.expect("an end").unwrap();
        assert!(!output.status.success(), "{name} started");
        String::from_utf8(output.stderr).unwrap()
    }

    /// Returns the next line of the log that contains this text.
    pub async fn log_line(&mut self, text: &str) -> String {
        let line = async {
            loop {
                let line = self.lines.recv().await.expect("more of a log");
                if line.contains(text) {
                    return line;
                }
            }
        };
        timeout(Duration::from_secs(15), line).await.expect(text)
    }

    /// Delivers an event. Returns the function's response or error.
    pub async fn invoke(&mut self, event: Value) -> Outcome {
        self.events.send(event).await.unwrap();
        let outcome = timeout(Duration::from_secs(15), self.outcomes.recv()).await;
        outcome.unwrap_or_else(|_| panic!("{} died or hangs", self.name)).unwrap()
    }

    /// Waits until the work after the last response is done. The process takes the next event only then, and refuses this one,
    /// which has no key.
    pub async fn settle(&mut self) {
        assert_eq!(self.call(json!({})).await.0, 401, "{}", self.name);
    }

    /// Delivers an HTTP event. Returns the response's status and JSON body.
    pub async fn call(&mut self, event: Value) -> (u64, Value) {
        let response = self.invoke(event).await.unwrap_or_else(|error| panic!("{}: {error}", self.name));
        match response["statusCode"].as_u64() {
            Some(status) => (status, serde_json::from_str(response["body"].as_str().unwrap()).unwrap()),
            None => (200, response), // as API Gateway sees it
        }
    }
}

/// Returns the command that starts a function with the local cloud's settings, some of them changed.
fn command(program: &Path, name: &str, runtime_api: &str, changes: &[(&str, &str)]) -> Command {
    let mut command = Command::new(program);
    command
        .env_clear()
        .envs(settings())
        .env("AWS_LAMBDA_RUNTIME_API", runtime_api)
        .env("AWS_LAMBDA_FUNCTION_NAME", name)
        .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
        .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256")
        .envs(changes.iter().copied())
        .kill_on_drop(true);
    command
}

/// Returns a function's event in events/, which belongs to the demo data.
pub fn event(function: &str) -> Value {
    let path = project().join(format!("events/{function}.json"));
    let json = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_slice(&json).unwrap()
}

/// Converts a request to an event, as API Gateway does.
pub fn event_of(function: &str, chat: &Chat, request: &Request) -> Value {
    let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
    let ids = path.split('/').skip(3).step_by(2);
    let parameters: HashMap<_, _> = ["id", "msgId"].into_iter().zip(ids).collect();
    let mut event = event(function);
    event["rawPath"] = json!(path);
    event["rawQueryString"] = json!(query);
    event["pathParameters"] = json!(parameters);
    event["headers"]["content-type"] = json!(request.content_type);
    event["headers"]["x-tinychat-api-key"] = match &request.key {
        Key::Own => json!(chat.key),
        Key::Secret => json!(chat.secret_key()),
        Key::Missing => json!(""),
        Key::Other(key) => json!(key),
    };
    event["body"] = json!(String::from_utf8(request.body.clone()).unwrap());
    event["isBase64Encoded"] = json!(false);
    event
}

/// Returns the names of the functions that serve HTTP requests. A schedule invokes the others.
pub fn routes() -> Vec<String> {
    functions().into_iter().filter(|name| event(name)["version"] == "2.0").collect()
}

/// Returns the names of all functions, which are those of their folders.
pub fn functions() -> Vec<String> {
    let folders = std::fs::read_dir(project().join("functions")).unwrap();
    folders.map(|folder| folder.unwrap().file_name().into_string().unwrap()).collect()
}

fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// Returns the path of a program. It is in the folder above this test's, unless `FUNCTION_BIN_DIR` names another folder.
pub fn binary(name: &str) -> PathBuf {
    let beside = || std::env::current_exe().unwrap().ancestors().nth(2).unwrap().to_owned();
    std::env::var_os("FUNCTION_BIN_DIR").map_or_else(beside, PathBuf::from).join(name)
}

/// Returns the settings of the local cloud's functions.
fn settings() -> Vec<(String, String)> {
    const PREFIXES: [&str; 3] = ["SUPABASE_", "STORAGE_", "WEBHOOK_"];
    let given = std::env::vars().filter(|(name, _)| PREFIXES.iter().any(|prefix| name.starts_with(prefix)));
    let database = [("DATABASE_URL".to_owned(), setting("FUNCTION_DATABASE_URL"))];
    let optional = ["DATABASE_CA_CERT", "DATABASE_NAMED_STATEMENTS"];
    let more = optional.iter().filter_map(|name| Some(((*name).to_owned(), std::env::var(name).ok()?)));
    given.chain(database).chain(more).collect()
}

async fn serve(api: RuntimeApi) -> String {
    let routes = Router::new()
        .route("/2018-06-01/runtime/invocation/next", get(next))
        .route("/2018-06-01/runtime/invocation/{id}/response", post(response))
        .route("/2018-06-01/runtime/invocation/{id}/error", post(error))
        .with_state(Arc::new(api));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async { axum::serve(listener, routes).await });
    address
}

async fn next(State(api): State<Arc<RuntimeApi>>) -> ([(&'static str, String); 3], String) {
    let Some(event) = api.events.lock().await.recv().await else {
        return std::future::pending().await;
    };
    let deadline = SystemTime::UNIX_EPOCH.elapsed().unwrap() + Duration::from_mins(1);
    let headers = [
        ("lambda-runtime-aws-request-id", "8476a536-e9f4-11e8-9739-2dfe598c3fcd".to_owned()),
        ("lambda-runtime-deadline-ms", deadline.as_millis().to_string()),
        (
            "lambda-runtime-invoked-function-arn",
            "arn:aws:lambda:eu-central-1:123456789012:function:test".to_owned(),
        ),
    ];
    (headers, event.to_string())
}

async fn response(State(api): State<Arc<RuntimeApi>>, body: String) -> StatusCode {
    conclude(&api, Ok(serde_json::from_str(&body).unwrap())).await
}

async fn error(State(api): State<Arc<RuntimeApi>>, body: String) -> StatusCode {
    conclude(&api, Err(body)).await
}

async fn conclude(api: &RuntimeApi, outcome: Outcome) -> StatusCode {
    let _ = api.outcomes.send(outcome).await;
    StatusCode::ACCEPTED
}
