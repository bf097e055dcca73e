//! Supabase Realtime: broadcasts on a conversation's channel, over HTTP and after the response.
//!
//! A broadcast is best effort. One that is lost is logged and counted, and clients catch up from history. A Realtime that is
//! slow must not take environments away from requests, so time is short, and a [`Breaker`] spares even that.

use crate::breaker::Breaker;
use crate::db::Chain;
use crate::model::{ConversationEnvelope, ConversationId, MessageEnvelope, MessageId, ReadCursor, TenantId};
use crate::{Result, after_response, config, telemetry, tls};
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue, InvalidHeaderValue};
use serde::Serialize;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::time::timeout;
use tokio_postgres::Row;

/// What a conversation's id is joined to for its channel's name; clients get it from `GET /v1/config`.
pub const CHANNEL_PREFIX: &str = "conv:";

/// How long a broadcast may take, a second try included.
const TIMEOUT: Duration = Duration::from_millis(750);

/// Sends broadcasts.
pub struct Realtime {
    api: Arc<Api>,
    private: bool,
}

/// Realtime's HTTP API.
struct Api {
    http: reqwest::Client,
    url: String,
    breaker: Breaker,
}

/// Why a broadcast was lost.
#[derive(Debug, thiserror::Error)]
enum Lost {
    #[error("no answer in {TIMEOUT:?}")]
    TimedOut,
    #[error("not sent, because Realtime hasn't answered for a while")]
    NotSent,
    #[error(transparent)]
    Failed(#[from] reqwest::Error),
}

impl Realtime {
    /// Reads `SUPABASE_URL`, `SUPABASE_SERVICE_ROLE_KEY` and `REALTIME_PRIVATE`.
    pub fn from_env() -> Result<Self, lambda_http::Error> {
        let key = config::required("SUPABASE_SERVICE_ROLE_KEY")?;
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls::public()?)
            .default_headers(credentials(&key).map_err(|_| "mend SUPABASE_SERVICE_ROLE_KEY: it is no key")?)
            .build()?;
        let url = format!("{}/realtime/v1/api/broadcast", config::supabase_url()?);
        let api = Arc::new(Api { http, url, breaker: Breaker::default() });
        Ok(Self { api, private: config::realtime_private()? })
    }

    /// Broadcasts a message that is new, edited or deleted. `row` is what the route's function answered.
    pub fn message(&self, row: &Row, envelope: &MessageEnvelope) -> Result<()> {
        let message = &envelope.message.message;
        self.broadcast(row, message.conversation_id, Some(message.id), "message", envelope)
    }

    /// Broadcasts that the `sender_id` of the row is typing.
    pub fn typing(&self, row: &Row, conversation: ConversationId, name: Option<&str>) -> Result<()> {
        let sender: &str = row.try_get("sender_id")?;
        let payload = json!({ "senderId": sender, "senderName": name });
        self.broadcast(row, conversation, None, "typing", payload)
    }

    /// Broadcasts that a participant has read on.
    pub fn read(&self, row: &Row, cursor: &ReadCursor) -> Result<()> {
        self.broadcast(row, cursor.conversation_id, None, "read", json!({ "read": cursor }))
    }

    /// Broadcasts that a conversation's participants or status have changed.
    pub fn conversation(&self, row: &Row, envelope: &ConversationEnvelope) -> Result<()> {
        self.broadcast(row, envelope.conversation.id, None, "conversation", envelope)
    }

    fn broadcast(
        &self,
        row: &Row,
        conversation: ConversationId,
        message: Option<MessageId>,
        event: &'static str,
        payload: impl Serialize,
    ) -> Result<()> {
        let tenant: TenantId = row.try_get("tenant_id")?;
        let topic = format!("{CHANNEL_PREFIX}{conversation}");
        let message_to = |private: &bool| json!({ "topic": topic, "event": event, "payload": payload, "private": private });
        let messages: Vec<_> = self.channels(row.try_get("tokens")?).iter().map(message_to).collect();
        let body = json!({ "messages": messages });
        let api = self.api.clone();
        after_response::spawn(async move {
            if let Err(error) = api.post(&body).await {
                let message_id = message.map(tracing::field::display);
                tracing::error!(%tenant, %conversation, message_id, event, error = %Chain(&error), "broadcast lost");
                telemetry::broadcast_lost();
            }
        });
        Ok(())
    }

    /// The kinds of channel, private or not, that a broadcast goes to, by the tenant's use of user tokens. While both kinds of
    /// app are about, those with tokens listen on the private channel and those without on the public one.
    fn channels(&self, tokens: &str) -> &'static [bool] {
        match tokens {
            _ if self.private => &[true],
            "required" => &[true],
            "accepted" => &[false, true],
            _ => &[false],
        }
    }
}

impl Api {
    async fn post(&self, body: &Value) -> Result<(), Lost> {
        if !self.breaker.allows(SystemTime::now()) {
            return Err(Lost::NotSent);
        }
        let attempt = async || self.http.post(&self.url).json(body).send().await?.error_for_status();
        let attempts = async {
            match attempt().await {
                // A connection that died while the environment was frozen is gone now: the second try has a fresh one.
                Err(error) if worth_repeating(&error) => attempt().await,
                outcome => outcome,
            }
        };
        let outcome = timeout(TIMEOUT, attempts).await;
        self.breaker.record(outcome.is_err(), SystemTime::now());
        outcome.map_err(|_| Lost::TimedOut)??;
        Ok(())
    }
}

/// Whether another try may fare better: not where Realtime understood the request and refused it.
fn worth_repeating(error: &reqwest::Error) -> bool {
    error.status().is_none_or(|status| status.is_server_error() || status.as_u16() == 429)
}

/// A key of the older kind is a JWT and goes into both headers; an `sb_secret_` key isn't one, and Supabase refuses it
/// as a bearer token.
fn credentials(key: &str) -> Result<HeaderMap, InvalidHeaderValue> {
    let secret = |text: &str| {
        HeaderValue::from_str(text).map(|mut value| {
            value.set_sensitive(true);
            value
        })
    };
    let mut headers = HeaderMap::from_iter([(HeaderName::from_static("apikey"), secret(key)?)]);
    if !key.starts_with("sb_") {
        headers.insert(AUTHORIZATION, secret(&format!("Bearer {key}"))?);
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_jwt_is_sent_as_a_bearer_token() {
        assert_eq!(credentials("eyJhbGciOi.e30.c2ln").unwrap()[AUTHORIZATION], "Bearer eyJhbGciOi.e30.c2ln");
        let headers = credentials("sb_secret_abc").unwrap();
        assert_eq!(headers["apikey"], "sb_secret_abc");
        assert!(!headers.contains_key(AUTHORIZATION));
    }
}
