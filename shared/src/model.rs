//! The API's objects as they go over the wire, and the ids and times in them.

use crate::fields::Field;
use crate::{Error, Result};
use chrono::{DateTime, SecondsFormat, Utc};
pub use postgres_types::Json;
use postgres_types::{FromSql, ToSql};
use serde::{Serialize, Serializer};
use serde_json::Value;
use serde_json::value::RawValue;
use std::time::SystemTime;
use tokio_postgres::Row;
use uuid::Uuid;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident $(= $new:path)?) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, ToSql, FromSql)]
        #[postgres(transparent)]
        pub struct $name(Uuid);

        impl $name {
            $(
                #[doc = concat!("Returns a new id from `", stringify!($new), "`.")]
                #[expect(clippy::new_without_default, reason = "each call returns another id")]
                pub fn new() -> Self {
                    Self($new())
                }
            )?

            /// Parses an id from a request. A text that isn't a UUID becomes the nil UUID. No row has that id, so the
            /// statement answers as for any other id that doesn't exist.
            pub fn parse(text: &str) -> Self {
                Self(Uuid::try_parse(text).ok().filter(|_| text.len() == 36).unwrap_or_default())
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

id!(
    /// A tenant's id.
    TenantId
);
id!(
    /// The id of a user's row. The tenant knows the user by `user_id`.
    UserId = Uuid::now_v7
);
id!(
    /// A conversation's id. It is random, because it names a channel and so must not be guessable.
    ConversationId = Uuid::new_v4
);
id!(
    /// A message's id. It begins with the time at which it was made, so that messages of the same time are stored
    /// together.
    MessageId = Uuid::now_v7
);
id!(
    /// The id of one request to delete a message, which distinguishes it from all others.
    DeletionId = Uuid::new_v4
);
id!(
    /// A webhook event's id, sent as `webhook-id`. It begins with the time at which it was made.
    EventId = Uuid::now_v7
);

impl Field for MessageId {
    fn parse(name: &str, value: Value) -> Result<Self> {
        match value {
            Value::String(text) => Ok(Self::parse(&text)),
            _ => Err(Error::invalid(format!("{name} must be a string"))),
        }
    }
}

/// A time in UTC, shown in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ToSql, FromSql)]
#[postgres(transparent)]
pub struct Timestamp(DateTime<Utc>);

impl Timestamp {
    /// Parses an ISO-8601 time. A time without an offset is UTC. A space in the place of an offset's `+` is a `+` that
    /// wasn't percent-encoded.
    pub fn parse(text: &str) -> Option<Self> {
        let with_offset = |text: &str| DateTime::parse_from_rfc3339(text).map(|time| time.to_utc());
        with_offset(text)
            .or_else(|_| with_offset(&text.replace(' ', "+")))
            .or_else(|_| with_offset(&format!("{text}Z")))
            .ok()
            .map(Self)
    }
}

impl Timestamp {
    /// Returns the whole milliseconds since 1970.
    pub fn milliseconds(self) -> i64 {
        self.0.timestamp_millis()
    }

    /// Returns the time in whole milliseconds, as all times are stored.
    #[must_use]
    pub fn truncated(self) -> Self {
        Self::from_milliseconds(self.milliseconds()).unwrap_or(self)
    }

    /// Returns the time this many milliseconds after 1970, or `None` if it is out of range.
    pub fn from_milliseconds(milliseconds: i64) -> Option<Self> {
        DateTime::from_timestamp_millis(milliseconds).map(Self)
    }
}

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        Self(time.into())
    }
}

impl Field for Timestamp {
    fn parse(name: &str, value: Value) -> Result<Self> {
        let time = value.as_str().and_then(Self::parse);
        time.ok_or_else(|| Error::invalid(format!("{name} must be an ISO-8601 time")))
    }
}

impl std::fmt::Display for Timestamp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0.to_rfc3339_opts(SecondsFormat::Millis, true))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0.to_rfc3339_opts(SecondsFormat::Millis, true))
    }
}

/// A message as history shows it. A deleted one has no `body`, `media_url` or `metadata` here, although the database
/// keeps them.
#[derive(Debug, Serialize)]
#[allow(missing_docs)] // named and explained in the API reference
pub struct Message {
    pub id: MessageId,
    pub conversation_id: ConversationId,
    pub sender_id: String,
    pub body: Option<String>,
    pub message_type: String,
    pub media_url: Option<String>,
    pub reply_to: Option<MessageId>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub edited_at: Option<Timestamp>,
    pub deleted_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_message_id: Option<String>,
    /// JSON as Postgres writes it, so that numbers keep all their digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Box<RawValue>>,
}

impl TryFrom<&Row> for Message {
    type Error = Error;

    fn try_from(row: &Row) -> Result<Self> {
        let deleted_at: Option<Timestamp> = row.try_get("deleted_at")?;
        let unless_deleted = |column| {
            if deleted_at.is_some() { Ok(None) } else { row.try_get(column) }
        };
        let metadata: Option<Json<Box<RawValue>>> =
            if deleted_at.is_some() { None } else { row.try_get("metadata")? };
        Ok(Self {
            id: row.try_get("id")?,
            conversation_id: row.try_get("conversation_id")?,
            sender_id: row.try_get("sender_id")?,
            body: unless_deleted("body")?,
            message_type: row.try_get("message_type")?,
            media_url: unless_deleted("media_url")?,
            reply_to: row.try_get("reply_to")?,
            created_at: row.try_get("created_at")?,
            updated_at: row.try_get("updated_at")?,
            edited_at: row.try_get("edited_at")?,
            deleted_at,
            client_message_id: row.try_get("client_message_id")?,
            metadata: metadata.map(|json| json.0),
        })
    }
}

/// The full message, which send, edit and delete return and broadcast.
#[derive(Debug, Serialize)]
pub struct FullMessage {
    /// The message as history shows it.
    #[serde(flatten)]
    pub message: Message,
    /// The receiver that the sender named.
    pub receiver_id: Option<String>,
}

impl TryFrom<&Row> for FullMessage {
    type Error = Error;

    fn try_from(row: &Row) -> Result<Self> {
        Ok(Self { message: row.try_into()?, receiver_id: row.try_get("receiver_id")? })
    }
}

/// `{"message": …}`: the response of send, edit and delete, and the payload of their broadcasts.
#[derive(Debug, Serialize)]
pub struct MessageEnvelope {
    /// The message.
    pub message: FullMessage,
}

/// A conversation.
#[derive(Debug, Serialize)]
#[allow(missing_docs)] // named and explained in the API reference
pub struct Conversation {
    pub id: ConversationId,
    pub tenant_id: TenantId,
    pub kind: String,
    pub external_ref: Option<String>,
    pub participants: Vec<String>,
    pub status: String,
    pub last_message: Option<String>,
    pub last_at: Option<Timestamp>,
    pub updated_at: Timestamp,
}

impl TryFrom<&Row> for Conversation {
    type Error = Error;

    fn try_from(row: &Row) -> Result<Self> {
        Ok(Self {
            id: row.try_get("id")?,
            tenant_id: row.try_get("tenant_id")?,
            kind: row.try_get("kind")?,
            external_ref: row.try_get("external_ref")?,
            participants: row.try_get("participants")?,
            status: row.try_get("status")?,
            last_message: row.try_get("last_message")?,
            last_at: row.try_get("last_at")?,
            updated_at: row.try_get("updated_at")?,
        })
    }
}

/// `{"conversation": …}`: a response, and the payload of its broadcast.
#[derive(Debug, Serialize)]
pub struct ConversationEnvelope {
    /// The conversation.
    pub conversation: Conversation,
}

/// A participant's read cursor: all messages up to `read_at` count as read.
#[derive(Debug, Serialize)]
#[allow(missing_docs)] // named and explained in the API reference
pub struct ReadCursor {
    pub conversation_id: ConversationId,
    pub user_id: String,
    pub read_at: Timestamp,
}

impl TryFrom<&Row> for ReadCursor {
    type Error = Error;

    fn try_from(row: &Row) -> Result<Self> {
        Ok(Self {
            conversation_id: row.try_get("conversation_id")?,
            user_id: row.try_get("user_id")?,
            read_at: row.try_get("read_at")?,
        })
    }
}

/// A tenant's end-user.
#[derive(Debug, Serialize)]
#[allow(missing_docs)] // named and explained in the API reference
pub struct User {
    pub id: UserId,
    pub tenant_id: TenantId,
    pub user_id: String,
    pub name: Option<String>,
    pub email: Option<String>,
    pub role: String,
    pub fcm_tokens: Vec<String>,
    /// JSON as Postgres writes it, so that numbers keep all their digits.
    pub notification_prefs: Box<RawValue>,
    pub last_seen_at: Timestamp,
}

impl TryFrom<&Row> for User {
    type Error = Error;

    fn try_from(row: &Row) -> Result<Self> {
        Ok(Self {
            id: row.try_get("id")?,
            tenant_id: row.try_get("tenant_id")?,
            user_id: row.try_get("user_id")?,
            name: row.try_get("name")?,
            email: row.try_get("email")?,
            role: row.try_get("role")?,
            fcm_tokens: row.try_get("fcm_tokens")?,
            notification_prefs: row.try_get::<_, Json<_>>("notification_prefs")?.0,
            last_seen_at: row.try_get("last_seen_at")?,
        })
    }
}

/// The maximum total size of a list's objects, in bytes. Lambda limits a response to 6 MB.
const MAX_LIST: usize = 5_000_000;

/// A list's objects as JSON.
pub struct List {
    /// As many objects as were requested, or as fit into a response.
    pub items: Vec<Box<RawValue>>,
    /// Whether more rows follow.
    pub more: bool,
}

impl List {
    /// Reads at most `limit` rows. A statement returns at least one row, for its verdict. If it found nothing, that
    /// row's `id` is null.
    pub fn read<'a, T>(rows: &'a [Row], limit: usize) -> Result<Self>
    where
        T: TryFrom<&'a Row, Error = Error> + Serialize,
    {
        let mut items = Vec::new();
        let mut room = MAX_LIST;
        for row in rows {
            if row.try_get::<_, Option<Uuid>>("id")?.is_none() {
                break;
            }
            let json = serde_json::value::to_raw_value(&T::try_from(row)?).map_err(|_| Error::Panic)?;
            match room.checked_sub(json.get().len()) {
                Some(rest) if items.len() < limit => room = rest,
                _ => return Ok(Self { items, more: true }),
            }
            items.push(json);
        }
        Ok(Self { items, more: false })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(text: &str) -> Option<Value> {
        Timestamp::parse(text).map(|time| serde_json::to_value(time).unwrap())
    }

    #[test]
    fn a_cursor_is_an_iso_8601_time() {
        for text in [
            "2026-01-15T10:21:09.114Z",
            "2026-01-15T11:21:09.114+01:00",
            "2026-01-15T11:21:09.114 01:00",
            "2026-01-15T10:21:09.114",
            "2026-01-15T10:21:09.114999Z",
        ] {
            assert_eq!(shown(text), Some("2026-01-15T10:21:09.114Z".into()), "{text}");
        }
        for text in [
            "",
            "yesterday",
            "1768472469114",
            "2026-13-01T00:00:00Z",
            "2026-01-15",
            "2026-01-15T10:21:09X",
            "2026-1-15T10:21:9",
            "-4800-01-01T00:00:00",   // before Postgres' first day
            "+300000-01-01T00:00:00", // after its last
        ] {
            assert_eq!(shown(text), None, "{text}");
        }
    }

    #[test]
    fn an_id_that_is_no_uuid_names_nothing() {
        let nil = MessageId(Uuid::nil());
        for text in ["", "m_1", "{01990000-0000-7000-8000-000000000001}", "01990000000070008000000000000001"]
        {
            assert_eq!(MessageId::parse(text), nil, "{text}");
        }
        assert_ne!(MessageId::parse("01990000-0000-7000-8000-000000000001"), nil);
    }

    proptest! {
        #[test]
        fn a_time_that_was_shown_pages_exactly(millis in 0_i64..4_102_444_800_000) {
            let time = Timestamp(DateTime::from_timestamp_millis(millis).unwrap());
            let text = serde_json::to_value(time).unwrap();
            prop_assert_eq!(Timestamp::parse(text.as_str().unwrap()), Some(time));
        }

        #[test]
        fn an_id_that_was_shown_is_found_again(bits: u128) {
            let id = MessageId(Uuid::from_u128(bits));
            prop_assert_eq!(MessageId::parse(&id.to_string()), id);
        }

        #[test]
        fn no_text_makes_a_parser_panic(text: String) {
            Timestamp::parse(&text);
            ConversationId::parse(&text);
        }
    }
}
