//! Webhooks: sends an event to an endpoint, signed after the Standard Webhooks specification, and records the outcome.
//!
//! The statement that makes a change also writes its event. If the endpoint is neither failing nor slow, the event is
//! leased to the function that ran the statement, which makes the first attempt after its response. deliver-webhooks
//! makes all other attempts.

mod address;
mod recipients;
mod signature;

pub use signature::{InvalidSecret, Secret, new_secret};

use crate::db::{Chain, Db};
use crate::route_function::{RouteFunction, SCHEMA};
use crate::{Error, Result, after_response, config, telemetry, tls};
use address::PublicOnly;
pub use address::Refused;
use reqwest::header::{CONTENT_TYPE, InvalidHeaderValue};
use reqwest::{Client, Url, redirect};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::borrow::Cow;
use std::net::IpAddr;
use std::ops::AddAssign;
use std::sync::{Arc, LazyLock, OnceLock};
use std::time::{Duration, SystemTime};
use tokio::time::{Instant, timeout_at};
use tokio_postgres::types::{Json, Type};
use uuid::Uuid;

/// The timeout from connecting until the response begins.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The time from which an attempt counts as late. It is also the timeout of attempts that a route's function makes,
/// because its environment takes no other requests meanwhile.
const PROMPT: Duration = Duration::from_millis(800);

/// The maximum number of bytes that are read of a response.
const RESPONSE_LIMIT: usize = 4096;

/// The text of the server-side function that records attempts.
pub const RECORD: &str = include_str!("record.sql");

/// An event to be sent to an endpoint, as `tinychat.webhook_delivery` returns it.
#[derive(Deserialize)]
pub struct Delivery {
    /// The tenant of the event.
    pub tenant_id: Uuid,
    /// The endpoint's id.
    pub endpoint_id: Uuid,
    /// The `webhook-id`, the same in every attempt.
    pub event_id: Uuid,
    url: String,
    secret: String,
    previous_secret: Option<String>,
    payload: String,
    /// The end of the lease, as Postgres wrote it.
    leased_until: String,
    /// Whether the payload also gets the message's recipients.
    #[serde(default)]
    recipients: bool,
}

/// The outcome of a delivery.
#[derive(Serialize, Debug)]
pub struct Attempt {
    endpoint_id: Uuid,
    event_id: Uuid,
    leased_until: String,
    made: bool,
    #[serde(flatten)]
    response: Response,
}

/// The effects of recorded attempts.
#[derive(Default)]
pub struct Recorded {
    /// Events that became dead letters.
    pub dead: i64,
    /// Endpoints that were disabled.
    pub disabled: i64,
}

/// An endpoint's response.
#[derive(Serialize, Default, Debug)]
pub struct Response {
    /// The HTTP status, or `None` if no response came.
    pub status: Option<u16>,
    /// Milliseconds until the response came or the attempt failed.
    pub latency_ms: u64,
    /// Whether the attempt took longer than a route's function can wait.
    pub late: bool,
    /// The beginning of the response's body, or the reason why there is no response.
    #[serde(rename = "answer")]
    pub text: String,
}

impl Delivery {
    /// The payload's size in bytes, without recipients.
    pub fn bytes(&self) -> usize {
        self.payload.len()
    }

    /// The payload, with the recipients if the endpoint wants them.
    async fn full_payload(&self, db: &Db) -> Result<Cow<'_, str>> {
        if !self.recipients {
            return Ok(Cow::Borrowed(&self.payload));
        }
        recipients::add(db, self.tenant_id, &self.payload).await.map(Cow::Owned)
    }

    /// Gives the delivery back without an attempt.
    pub fn unmade(self) -> Attempt {
        Attempt {
            endpoint_id: self.endpoint_id,
            event_id: self.event_id,
            leased_until: self.leased_until,
            made: false,
            response: Response::default(),
        }
    }
}

impl Attempt {
    /// Whether an attempt was made that counts.
    pub fn was_made(&self) -> bool {
        self.made
    }

    /// Whether the endpoint accepted the event.
    pub fn succeeded(&self) -> bool {
        self.response.succeeded()
    }

    /// The endpoint's id.
    pub fn endpoint_id(&self) -> Uuid {
        self.endpoint_id
    }
}

impl Response {
    /// Whether the status is 2xx.
    pub fn succeeded(&self) -> bool {
        self.status.is_some_and(|status| (200..300).contains(&status))
    }
}

/// A client that sends events.
pub struct Sender {
    http: Client,
    allow_private: bool,
    timeout: Duration,
}

impl Sender {
    /// Reads `WEBHOOK_ALLOW_PRIVATE`, which is for local development. With `1`, events may also go to private addresses
    /// and without TLS.
    pub fn from_env() -> Result<Self, lambda_http::Error> {
        let allow_private = config::optional("WEBHOOK_ALLOW_PRIVATE").is_some_and(|value| value == "1");
        let mut http = Client::builder()
            .tls_backend_preconfigured(tls::public()?)
            .redirect(redirect::Policy::none())
            .no_proxy()
            .user_agent("TinyChat-Webhooks");
        if !allow_private {
            http = http.https_only(true).dns_resolver(Arc::new(PublicOnly));
        }
        Ok(Self { http: http.build()?, allow_private, timeout: TIMEOUT })
    }

    /// Attempts a delivery. An attempt with a shortened timeout that gets no response in that time doesn't count.
    pub async fn attempt(&self, db: &Db, delivery: Delivery) -> Attempt {
        let secrets = [Some(&delivery.secret), delivery.previous_secret.as_ref()];
        let secrets: Result<Vec<_>, _> = secrets.into_iter().flatten().map(|text| text.parse()).collect();
        let response = match (secrets, delivery.full_payload(db).await) {
            (Ok(secrets), Ok(payload)) => {
                let id = delivery.event_id.to_string();
                self.send(&delivery.url, &id, &secrets, &payload).await
            }
            (Err(invalid), _) => Response { text: invalid.to_string(), ..Response::default() },
            (_, Err(error)) => {
                tracing::error!(tenant = %delivery.tenant_id, error = %Chain(&error), "recipients were not read");
                Response {
                    text: "not sent: its recipients could not be read".to_owned(),
                    ..Response::default()
                }
            }
        };
        let cut_short = self.timeout < TIMEOUT && response.late && response.status.is_none();
        Attempt { made: !cut_short, response, ..delivery.unmade() }
    }

    /// Sends an event, signed with each of the secrets.
    pub async fn send(&self, url: &str, id: &str, secrets: &[Secret], payload: &str) -> Response {
        let began = Instant::now();
        let deadline = began + self.timeout;
        let sent = timeout_at(deadline, self.post(url, id, secrets, payload)).await;
        let latency_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let (status, text) = match sent {
            Ok(Ok(response)) => (Some(response.status().as_u16()), beginning(response, deadline).await),
            Ok(Err(failure)) => (None, failure.to_string()),
            Err(_) => (None, format!("no answer in {} s", self.timeout.as_secs())),
        };
        Response { status, latency_ms, late: began.elapsed() >= PROMPT, text }
    }

    async fn post(
        &self,
        url: &str,
        id: &str,
        secrets: &[Secret],
        payload: &str,
    ) -> Result<reqwest::Response, Failure> {
        let url = self.accepts(url)?;
        let timestamp = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_secs();
        let request = self
            .http
            .post(url)
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", id)
            .header("webhook-timestamp", timestamp)
            .header("webhook-signature", signature::header(secrets, id, timestamp, payload)?)
            .body(payload.to_owned());
        let again = request.try_clone();
        match (request.send().await, again) {
            // The connection was kept from an earlier event and has died since, for example while the environment was
            // frozen.
            (Err(error), Some(again)) if error.is_request() && !error.is_connect() => {
                Ok(again.send().await?)
            }
            (outcome, _) => Ok(outcome?),
        }
    }

    /// Returns the address if events may go there. A host name is checked when it is resolved. An IP address is never
    /// resolved, so it is checked here. Parsing has normalised its spelling.
    pub fn accepts(&self, url: &str) -> Result<Url, Failure> {
        let url = Url::parse(url).map_err(|_| Failure::Url)?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Failure::Credentials);
        }
        if url.scheme() != "https" && !(self.allow_private && url.scheme() == "http") {
            return Err(Failure::Scheme);
        }
        let host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
        match host.parse::<IpAddr>() {
            Ok(ip) if !self.allow_private && !address::is_public(ip) => Err(Refused.into()),
            _ => Ok(url),
        }
    }
}

/// The reason why there is no response. No text contains the URL, which may itself be a secret.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The text isn't a URL.
    #[error("refused: not a URL")]
    Url,
    /// The URL contains a user or a password, which would end up in logs.
    #[error("refused: a user in the URL")]
    Credentials,
    /// The URL isn't https.
    #[error("refused: not https")]
    Scheme,
    /// The address isn't on the public internet.
    #[error(transparent)]
    Address(#[from] Refused),
    /// A text can't be the value of a header.
    #[error("no header: {0}")]
    Header(#[from] InvalidHeaderValue),
    /// No connection, or no response over it.
    #[error("{}", Chain(.0))]
    Http(reqwest::Error),
}

impl From<reqwest::Error> for Failure {
    fn from(error: reqwest::Error) -> Self {
        Self::Http(error.without_url())
    }
}

/// Reads the beginning of a response, until the deadline.
async fn beginning(mut response: reqwest::Response, deadline: Instant) -> String {
    let mut bytes = Vec::new();
    while bytes.len() < RESPONSE_LIMIT
        && let Ok(Ok(Some(chunk))) = timeout_at(deadline, response.chunk()).await
    {
        bytes.extend_from_slice(&chunk);
    }
    bytes.truncate(RESPONSE_LIMIT);
    String::from_utf8_lossy(&bytes).replace('\0', "\u{fffd}") // Postgres can't store NUL
}

/// Records the outcomes of deliveries.
pub async fn record(db: &Db, attempts: &[Attempt]) -> Result<Recorded> {
    static CALL: LazyLock<Option<String>> = LazyLock::new(|| {
        RouteFunction::parse(RECORD).map(|function| format!("select * from {SCHEMA}.{}($1)", function.name))
    });
    let call = CALL.as_deref().ok_or_else(|| Error::Database("record.sql defines no function".into()))?;
    let rows = db.run(call, &[(&Json(attempts), Type::JSON)]).await?;
    rows.first().map_or_else(
        || Ok(Recorded::default()),
        |row| Ok(Recorded { dead: row.try_get("dead")?, disabled: row.try_get("disabled")? }),
    )
}

/// Attempts, after the response, the deliveries that a statement has leased to this function in its column
/// `deliveries`.
pub fn deliver(db: &Db, deliveries: Option<Json<Vec<Delivery>>>) {
    for delivery in deliveries.into_iter().flat_map(|Json(deliveries)| deliveries) {
        let db = db.clone();
        after_response::defer(async move {
            let (tenant, event) = (delivery.tenant_id, delivery.event_id);
            let Some(sender) = sender() else { return };
            let attempt = sender.attempt(&db, delivery).await;
            match record(&db, &[attempt]).await {
                Ok(recorded) => recorded.tell(),
                Err(error) => {
                    tracing::error!(%tenant, %event, error = %Chain(&error), "an attempt was not recorded");
                }
            }
        });
    }
}

impl AddAssign for Recorded {
    fn add_assign(&mut self, other: Self) {
        self.dead += other.dead;
        self.disabled += other.disabled;
    }
}

impl Recorded {
    /// Prints the metrics of dead letters and disabled endpoints, as deliver-webhooks does for its own attempts.
    fn tell(&self) {
        if self.dead == 0 && self.disabled == 0 {
            return;
        }
        let metrics = [("webhook_dead_letters", "Count"), ("webhook_endpoints_disabled", "Count")];
        let line = json!({
            "_aws": telemetry::embedded_metrics(&["stack"], &metrics),
            "stack": config::optional("STACK").unwrap_or_default(),
            "webhook_dead_letters": self.dead,
            "webhook_endpoints_disabled": self.disabled,
        });
        println!("{line}");
    }
}

/// The sender of this process, made when it is first needed.
fn sender() -> Option<&'static Sender> {
    static SENDER: OnceLock<Option<Sender>> = OnceLock::new();
    let make = || Sender::from_env().inspect_err(|error| tracing::error!(%error, "no webhooks")).ok();
    SENDER.get_or_init(|| make().map(|sender| Sender { timeout: PROMPT, ..sender })).as_ref()
}
