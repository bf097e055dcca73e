//! The client that posts events to endpoints.

use super::address::{self, PublicOnly, Refused};
use super::signature::{self, Secret};
use crate::db::Chain;
use crate::{Result, config, tls};
use reqwest::header::{CONTENT_TYPE, InvalidHeaderValue};
use reqwest::{Client, Url, redirect};
use serde::Serialize;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::time::{Instant, timeout_at};

/// The timeout from connecting until the response begins.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The time from which an attempt counts as late. It is also the timeout of attempts that a route's function makes,
/// because its environment takes no other requests meanwhile.
const PROMPT: Duration = Duration::from_millis(800);

/// The maximum number of bytes that are read of a response.
const RESPONSE_LIMIT: usize = 4096;

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
    #[serde(rename = "response")]
    pub text: String,
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
    /// Reads `WEBHOOK_ALLOW_PRIVATE`, which is for local development. With `true`, events may also go to private
    /// addresses and without TLS.
    pub fn from_env() -> Result<Self, lambda_http::Error> {
        let allow_private = config::flag("WEBHOOK_ALLOW_PRIVATE", false)?;
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

    /// Shortens the timeout to the time that a route's function can wait.
    pub(super) fn with_short_timeout(self) -> Self {
        Self { timeout: PROMPT, ..self }
    }

    /// Whether the timeout is shortened.
    pub(super) fn has_short_timeout(&self) -> bool {
        self.timeout < TIMEOUT
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
            Err(_) => (None, format!("no response in {} s", self.timeout.as_secs())),
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
    #[error("not a header value: {0}")]
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
