//! Supabase Realtime: broadcasts on a conversation's channel and on its participants' inbox channels, over HTTP and after the
//! response.
//!
//! A broadcast is best effort. One that is lost is logged and counted, and clients catch up from history. A Realtime that is
//! slow must not take environments away from requests, so time is short, and a [`Breaker`] spares even that.

use crate::breaker::Breaker;
use crate::db::Chain;
use crate::model::{
    ConversationEnvelope, ConversationId, MessageEnvelope, MessageId, ReadCursor, TenantId, UserId,
};
use crate::{Error, Result, after_response, config, telemetry, tls};
use reqwest::StatusCode;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, InvalidHeaderValue};
use serde::Serialize;
use serde_json::json;
use serde_json::value::{RawValue, to_raw_value};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::time::timeout;
use tokio_postgres::Row;

/// What a conversation's id is joined to for its channel's name; clients get it from `GET /v1/config`.
pub const CHANNEL_PREFIX: &str = "conv:";

/// What a user's id is joined to for the name of the user's inbox channel. It is the id that `POST /v1/users` answers.
pub const USER_CHANNEL_PREFIX: &str = "user:";

/// How long a broadcast may take, a second try included.
const TIMEOUT: Duration = Duration::from_millis(750);

/// Sends broadcasts.
pub struct Realtime {
    api: Arc<Api>,
    private: bool,
    /// Whether events also go to inbox channels. A route's function that is told so returns the ids of the participants' users
    /// in its column `inboxes`.
    pub inbox: bool,
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
    #[error("sent without the inbox channels, because Realtime takes no more messages at once")]
    Inboxes,
    #[error(transparent)]
    Failed(#[from] reqwest::Error),
}

/// An event, and what it is about.
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
        let key = config::required("SUPABASE_SERVICE_ROLE_KEY")?;
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls::public()?)
            .default_headers(credentials(&key).map_err(|_| "mend SUPABASE_SERVICE_ROLE_KEY: it is no key")?)
            .build()?;
        let url = format!("{}/realtime/v1/api/broadcast", config::supabase_url()?);
        let api = Arc::new(Api { http, url, breaker: Breaker::default() });
        Ok(Self { api, private: config::realtime_private()?, inbox: config::realtime_inbox()? })
    }

    /// Broadcasts a message that is new, edited or deleted. `row` is what the route's function answered.
    pub fn message(&self, row: &Row, envelope: &MessageEnvelope) -> Result<()> {
        let message = &envelope.message.message;
        let (conversation, message) = (message.conversation_id, Some(message.id));
        let event = Event { name: "message", conversation, message };
        self.broadcast(row, event, &[channel(conversation)], &inboxes(row)?, envelope)
    }

    /// Broadcasts that the `sender_id` of the row is typing. Inbox channels don't hear of it: it would be most of what they
    /// carry, and only who looks at the conversation wants to know.
    pub fn typing(&self, row: &Row, conversation: ConversationId, name: Option<&str>) -> Result<()> {
        let sender: &str = row.try_get("sender_id")?;
        let payload = json!({ "senderId": sender, "senderName": name });
        let event = Event { name: "typing", conversation, message: None };
        self.broadcast(row, event, &[channel(conversation)], &[], &payload)
    }

    /// Broadcasts that a participant has read on.
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

    /// Broadcasts a new conversation, on inbox channels alone: nobody can have joined its own channel yet.
    pub fn new_conversation(&self, row: &Row, envelope: &ConversationEnvelope) -> Result<()> {
        let event = Event { name: "conversation", conversation: envelope.conversation.id, message: None };
        match inboxes(row)? {
            inboxes if inboxes.is_empty() => Ok(()),
            inboxes => self.broadcast(row, event, &inboxes, &[], envelope),
        }
    }

    /// Broadcasts an event to topics and to inbox channels in one batch. If that is too much for Realtime, it goes to the topics
    /// alone.
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
    /// Posts a batch, and again if that may help. Realtime refuses a batch as a whole if it passes the messages that a project
    /// may broadcast a second, so that the second try is then the `smaller` one.
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
                // A connection that died while the environment was frozen is gone now: the second try has a fresh one.
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
