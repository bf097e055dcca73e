//! Supabase Realtime: broadcasts on a conversation's channel and on its participants' inbox channels, over HTTP and
//! without delaying the response.
//!
//! A broadcast is best effort. A lost one is logged and counted, and clients catch up from history. A slow Realtime
//! must not occupy environments, so the timeout is short, and a [`Breaker`] skips calls while Realtime keeps timing
//! out.

use crate::breaker::Breaker;
use crate::config::SettingError;
use crate::db::Chain;
use crate::model::{
    ConversationEnvelope, ConversationId, MessageEnvelope, MessageId, ReadCursor, TenantId, UserId,
    UserTokens,
};
use crate::row::Row;
use crate::{Error, Result, after_response, config, telemetry, tls};
use reqwest::StatusCode;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, InvalidHeaderValue};
use serde::Serialize;
use serde_json::json;
use serde_json::value::{RawValue, to_raw_value};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::time::timeout;

/// The prefix of a conversation's channel name, before the conversation's id. Clients get it from `GET /v1/config`.
pub const CHANNEL_PREFIX: &str = "conv:";

/// The prefix of the name of a user's inbox channel, before the id that `POST /v1/users` returns.
pub const USER_CHANNEL_PREFIX: &str = "user:";

/// The timeout of a broadcast, including the retry.
const TIMEOUT: Duration = Duration::from_millis(750);

/// A client that sends broadcasts.
pub struct Realtime {
    api: Arc<Api>,
    private: bool,
    /// Whether events also go to inbox channels. If so, a route's function returns the ids of the participants' users
    /// in its column `inboxes`.
    pub inbox: bool,
}

/// Realtime's HTTP API.
struct Api {
    http: reqwest::Client,
    url: String,
    breaker: Breaker,
}

/// The reason why a broadcast was lost.
#[derive(Debug, thiserror::Error)]
enum Lost {
    #[error("no response in {TIMEOUT:?}")]
    TimedOut,
    #[error("not sent, because Realtime hasn't responded for a while")]
    NotSent,
    #[error("sent without the inbox channels, because Realtime takes no more messages at once")]
    Inboxes,
    #[error(transparent)]
    Failed(#[from] reqwest::Error),
}

/// An event and its subject.
#[derive(Clone, Copy)]
struct Event {
    name: &'static str,
    conversation: ConversationId,
    message: Option<MessageId>,
}

/// One event for several channels, as Realtime takes it.
#[derive(Serialize)]
struct Batch<'a> {
    messages: Vec<Broadcast<'a>>,
}

#[derive(Serialize)]
struct Broadcast<'a> {
    topic: &'a str,
    event: &'static str,
    payload: &'a RawValue,
    private: bool,
}

impl Realtime {
    /// Reads `SUPABASE_URL`, `SUPABASE_SERVICE_ROLE_KEY`, `REALTIME_PRIVATE` and `REALTIME_INBOX`.
    pub fn from_env() -> Result<Self, lambda_http::Error> {
        const KEY: &str = "SUPABASE_SERVICE_ROLE_KEY";
        let invalid = |_| SettingError::new(KEY, "the project's secret key (service_role or sb_secret_…)");
        let headers = credentials(&config::required(KEY)?).map_err(invalid)?;
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls::public()?)
            .default_headers(headers)
            .build()?;
        let url = format!("{}/realtime/v1/api/broadcast", config::supabase_url()?);
        let api = Arc::new(Api { http, url, breaker: Breaker::default() });
        Ok(Self { api, private: config::realtime_private()?, inbox: config::realtime_inbox()? })
    }

    /// Broadcasts a message that is new, edited or deleted. `row` is the result of the route's function.
    pub fn message(&self, row: &Row, envelope: &MessageEnvelope) -> Result<()> {
        let (conversation, message) = (row.try_get("conversation_id")?, row.try_get("id")?);
        let event = Event { name: "message", conversation, message: Some(message) };
        self.broadcast(row, event, &[channel(conversation)], &inboxes(row)?, envelope)
    }

    /// Broadcasts that the row's `sender_id` is typing. Inbox channels don't get this event: it would be most of their
    /// traffic, and only clients that show the conversation need it.
    pub fn typing(&self, row: &Row, conversation: ConversationId, name: Option<&str>) -> Result<()> {
        let sender: &str = row.try_get("sender_id")?;
        let payload = json!({ "senderId": sender, "senderName": name });
        let event = Event { name: "typing", conversation, message: None };
        self.broadcast(row, event, &[channel(conversation)], &[], &payload)
    }

    /// Broadcasts that a participant's read cursor has moved.
    pub fn read(&self, row: &Row, cursor: &ReadCursor) -> Result<()> {
        let conversation = cursor.conversation_id;
        let event = Event { name: "read", conversation, message: None };
        self.broadcast(row, event, &[channel(conversation)], &inboxes(row)?, &json!({ "read": cursor }))
    }

    /// Broadcasts a conversation that has changed.
    pub fn conversation(&self, row: &Row, envelope: &ConversationEnvelope) -> Result<()> {
        let conversation = envelope.conversation.id;
        let event = Event { name: "conversation", conversation, message: None };
        self.broadcast(row, event, &[channel(conversation)], &inboxes(row)?, envelope)
    }

    /// Broadcasts a new conversation on inbox channels only, because nobody can have joined its own channel yet.
    pub fn new_conversation(&self, row: &Row, envelope: &ConversationEnvelope) -> Result<()> {
        let event = Event { name: "conversation", conversation: envelope.conversation.id, message: None };
        match inboxes(row)? {
            inboxes if inboxes.is_empty() => Ok(()),
            inboxes => self.broadcast(row, event, &inboxes, &[], envelope),
        }
    }

    /// Broadcasts an event to topics and to inbox channels in one batch. If Realtime refuses that as too many messages,
    /// the event goes to the topics alone.
    fn broadcast(
        &self,
        row: &Row,
        event: Event,
        topics: &[String],
        inboxes: &[String],
        payload: &impl Serialize,
    ) -> Result<()> {
        let tenant: TenantId = row.try_get("tenant_id")?;
        let kinds = self.channels(row.try_get("tokens")?);
        let payload = to_raw_value(payload).map_err(|_| Error::Panic)?;
        let batch = |topics: Vec<&String>| {
            let to = |topic, private| Broadcast { topic, event: event.name, payload: &payload, private };
            let messages =
                topics.iter().flat_map(|topic| kinds.iter().map(|private| to(topic.as_str(), *private)));
            serde_json::to_string(&Batch { messages: messages.collect() }).map_err(|_| Error::Panic)
        };
        let all = batch(topics.iter().chain(inboxes).collect())?;
        let smaller = if inboxes.is_empty() { None } else { Some(batch(topics.iter().collect())?) };
        let api = self.api.clone();
        after_response::spawn(async move {
            if let Err(error) = api.post(&all, smaller.as_deref()).await {
                let Event { name: event, conversation, message } = event;
                let message_id = message.map(tracing::field::display);
                tracing::error!(%tenant, %conversation, message_id, event, error = %Chain(&error), "broadcast lost");
                telemetry::record_lost_broadcast();
            }
        });
        Ok(())
    }

    /// The kinds of channel, private or not, that a broadcast goes to. They depend on the tenant's setting for user
    /// tokens. If tokens are accepted but not required, apps with tokens listen on the private channel and apps without
    /// tokens on the public one.
    fn channels(&self, tokens: UserTokens) -> &'static [bool] {
        match tokens {
            _ if self.private => &[true],
            UserTokens::Required => &[true],
            UserTokens::Accepted => &[false, true],
            UserTokens::Off => &[false],
        }
    }
}

impl Api {
    /// Posts a batch, and retries once if that may help. Realtime refuses a whole batch if it exceeds the project's
    /// limit of broadcasts per second. The retry then sends the `smaller` batch.
    async fn post(&self, batch: &str, smaller: Option<&str>) -> Result<(), Lost> {
        if !self.breaker.allows(SystemTime::now()) {
            return Err(Lost::NotSent);
        }
        let attempt = async |batch: &str| {
            let request = self.http.post(&self.url).header(CONTENT_TYPE, "application/json");
            request.body(batch.to_owned()).send().await?.error_for_status()
        };
        let attempts = async {
            match (attempt(batch).await, smaller) {
                (Err(error), Some(smaller)) if error.status() == Some(StatusCode::TOO_MANY_REQUESTS) => {
                    attempt(smaller).await?;
                    Err(Lost::Inboxes)
                }
                // The connection may have died while the environment was frozen. The retry opens a new one.
                (Err(error), _) if worth_repeating(&error) => {
                    attempt(batch).await?;
                    Ok(())
                }
                (outcome, _) => {
                    outcome?;
                    Ok(())
                }
            }
        };
        let outcome = timeout(TIMEOUT, attempts).await;
        self.breaker.record(outcome.is_err(), SystemTime::now());
        outcome.map_err(|_| Lost::TimedOut)?
    }
}

/// The name of a conversation's channel.
fn channel(conversation: ConversationId) -> String {
    format!("{CHANNEL_PREFIX}{conversation}")
}

/// The names of the inbox channels that an event goes to, by the users in the column `inboxes`.
fn inboxes(row: &Row) -> Result<Vec<String>> {
    let users: Option<Vec<UserId>> = row.try_get("inboxes")?;
    Ok(users.into_iter().flatten().map(|user| format!("{USER_CHANNEL_PREFIX}{user}")).collect())
}

/// Whether a retry may help: if there was no response, a server error or a 429.
fn worth_repeating(error: &reqwest::Error) -> bool {
    error.status().is_none_or(|status| status.is_server_error() || status.as_u16() == 429)
}

/// The headers that carry a key. A key of the older kind is a JWT and goes into both headers. An `sb_secret_` key isn't
/// a JWT, and Supabase refuses it as a bearer token.
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
