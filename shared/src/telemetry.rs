//! Logs: one JSON object per line on standard output, where Lambda collects them. Each request has one line, written
//! after its response. Errors have lines of their own, with the request id in their `span`. No line contains a body, a
//! key, a name or an address.
//!
//! The metrics are in the same lines, in CloudWatch's embedded metric format, so they cost no API call.

use crate::auth::CredentialKind;
use crate::config::{self, SettingError};
use crate::model::{TenantId, Timestamp};
use serde::Serialize;
use serde_json::{Value, json};
use std::io::Write;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

/// Checks `METRICS` and installs the subscriber. Every `main` calls it first.
pub fn init() -> Result<(), SettingError> {
    config::flag(METRICS_FLAG, true)?;
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_span_list(false)
        .with_target(false)
        .with_max_level(tracing::Level::INFO)
        .init();
    Ok(())
}

/// The state of the current request. An environment serves one request at a time.
static CURRENT: Mutex<Current> =
    Mutex::new(Current { tenant: None, credential: None, database: Duration::ZERO, cold: true });

struct Current {
    tenant: Option<TenantId>,
    credential: Option<CredentialKind>,
    database: Duration,
    /// Whether it is the process's first request.
    cold: bool,
}

fn current() -> MutexGuard<'static, Current> {
    CURRENT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Begins a request. Time spent waiting for Postgres after the last response isn't counted.
pub(crate) fn begin() {
    current().database = Duration::ZERO;
}

/// Records the request's tenant.
pub(crate) fn record_tenant(tenant: TenantId) {
    current().tenant = Some(tenant);
}

/// Records the kind of the request's credential.
pub(crate) fn record_credential(kind: CredentialKind) {
    current().credential = Some(kind);
}

/// Adds time that the request has waited for Postgres.
pub(crate) fn record_database(waited: Duration) {
    current().database += waited;
}

/// A request whose response has been returned.
pub(crate) struct Served {
    /// Lambda's request id, which is also in the gateway's access log.
    pub(crate) request_id: String,
    pub(crate) status: u16,
    /// The error's text, without the caller's input.
    pub(crate) error: Option<String>,
    /// The time from the event to the response.
    pub(crate) duration: Duration,
}

/// The log line of a request. Times are in milliseconds.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    timestamp: Timestamp,
    level: &'static str,
    request_id: &'a str,
    stack: &'a str,
    function: &'a str,
    tenant: Option<TenantId>,
    /// The form of the request's credential, genuine or not: `publishable`, `secret` or `token`.
    credential: Option<CredentialKind>,
    status: u16,
    duration: f64,
    database: f64,
    cold: u8,
    failed: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
    #[serde(rename = "_aws", skip_serializing_if = "Value::is_null")]
    metrics: Value,
}

const METRICS: [(&str, &str); 4] =
    [("duration", "Milliseconds"), ("database", "Milliseconds"), ("cold", "Count"), ("failed", "Count")];

/// Writes a request's log line, and resets the state for the next request.
pub(crate) fn end(request: &Served) {
    let next = Current { tenant: None, credential: None, database: Duration::ZERO, cold: false };
    let Current { tenant, credential, database, cold } = std::mem::replace(&mut *current(), next);
    let milliseconds = |time: Duration| (time.as_secs_f64() * 1e6).round() / 1e3;
    write(&Line {
        timestamp: SystemTime::now().into(),
        level: if request.status < 500 { "INFO" } else { "ERROR" },
        request_id: &request.request_id,
        stack: &WHERE.stack,
        function: &WHERE.function,
        tenant,
        credential,
        status: request.status,
        duration: milliseconds(request.duration),
        database: milliseconds(database),
        cold: cold.into(),
        failed: u8::from(request.status >= 500),
        error: request.error.as_deref(),
        metrics: embedded_metrics(&["stack", "function"], &METRICS),
    });
}

/// Counts a broadcast that was lost, for the alarm in template.yaml.
pub(crate) fn record_lost_broadcast() {
    if WHERE.metrics {
        let metrics = embedded_metrics(&["stack"], &[("broadcasts_lost", "Count")]);
        write(&json!({ "stack": WHERE.stack, "broadcasts_lost": 1, "_aws": metrics }));
    }
}

/// Returns a line's member `_aws`, from which CloudWatch reads metrics. `dimensions` names the members that hold the
/// dimensions. `metrics` names those that hold the metrics, each with its unit. The result is null if `METRICS` is
/// `false`, because each metric costs money every month.
pub fn embedded_metrics(dimensions: &[&str], metrics: &[(&str, &str)]) -> Value {
    if !WHERE.metrics {
        return Value::Null;
    }
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    let metrics: Vec<_> = metrics.iter().map(|(name, unit)| json!({ "Name": name, "Unit": unit })).collect();
    json!({
        "Timestamp": u64::try_from(now.as_millis()).unwrap_or_default(),
        "CloudWatchMetrics": [{ "Namespace": "TinyChat", "Dimensions": [dimensions], "Metrics": metrics }],
    })
}

/// The setting that removes the metrics from the lines.
const METRICS_FLAG: &str = "METRICS";

struct Where {
    stack: String,
    function: String,
    metrics: bool,
}

static WHERE: LazyLock<Where> = LazyLock::new(|| Where {
    stack: config::optional("STACK").unwrap_or_else(|| "none".to_owned()),
    function: config::optional("AWS_LAMBDA_FUNCTION_NAME").unwrap_or_default(),
    metrics: config::flag(METRICS_FLAG, true).unwrap_or(true),
});

fn write(line: &impl Serialize) {
    let mut text = serde_json::to_string(line).unwrap_or_default();
    text.push('\n');
    let _nobody_listens = std::io::stdout().lock().write_all(text.as_bytes());
}
