//! Supabase Realtime: broadcasts on a conversation's channel, over HTTP.
//!
//! A broadcast is best effort: one that is lost is logged, and the request that made it has long been committed.

use crate::db::Chain;
use crate::model::ConversationId;
use crate::{Result, config, tls};
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use serde::Serialize;
use serde_json::json;
use std::time::Duration;

/// What a conversation's id is joined to for its channel's name; clients get it from `GET /v1/config`.
pub const CHANNEL_PREFIX: &str = "conv:";

const TIMEOUT: Duration = Duration::from_secs(2);

/// Sends broadcasts.
pub struct Realtime {
    http: reqwest::Client,
    url: String,
}

impl Realtime {
    /// Reads `SUPABASE_URL` and `SUPABASE_SERVICE_ROLE_KEY`.
    pub fn from_env() -> Result<Self, lambda_http::Error> {
        let key = config::required("SUPABASE_SERVICE_ROLE_KEY")?;
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls::public()?)
            .default_headers(credentials(&key).map_err(|_| "mend SUPABASE_SERVICE_ROLE_KEY: it is no key")?)
            .timeout(TIMEOUT)
            .build()?;
        Ok(Self {
            http,
            url: format!("{}/realtime/v1/api/broadcast", config::supabase_url()?),
        })
    }

    /// Broadcasts an event to whoever listens to the conversation. Takes at most 2 s.
    pub async fn broadcast(&self, conversation: ConversationId, event: &str, payload: impl Serialize + Sync) {
        let topic = format!("{CHANNEL_PREFIX}{conversation}");
        let body = json!({
            "messages": [{ "topic": topic, "event": event, "payload": payload, "private": false }]
        });
        let sent = self.http.post(&self.url).json(&body).send().await;
        if let Err(error) = sent.and_then(reqwest::Response::error_for_status) {
            tracing::error!(%conversation, event, error = %Chain(&error), "broadcast lost");
        }
    }
}

/// A key of the older kind is a JWT and goes into both headers; an `sb_secret_` key isn't one, and Supabase refuses it
/// as a bearer token.
fn credentials(key: &str) -> Result<HeaderMap, reqwest::header::InvalidHeaderValue> {
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
        assert_eq!(
            credentials("eyJhbGciOi.e30.c2ln").unwrap()[AUTHORIZATION],
            "Bearer eyJhbGciOi.e30.c2ln"
        );
        let headers = credentials("sb_secret_abc").unwrap();
        assert_eq!(headers["apikey"], "sb_secret_abc");
        assert!(!headers.contains_key(AUTHORIZATION));
    }
}
