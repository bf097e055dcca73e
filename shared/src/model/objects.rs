//! The API's objects, as the route functions return them and as JSON shows them.

use super::{ConversationId, Json, Kind, MessageId, MessageType, Role, Status, TenantId, Timestamp, UserId};
use crate::row::Row;
use crate::{Error, Result};
use serde::Serialize;
use serde_json::value::RawValue;

/// A message as history shows it. A deleted one has no `body`, `media_url` or `metadata` here, although the database
/// keeps them. For webhooks, `tinychat.message_json` writes a full message, and a test compares each of its fields.
#[derive(Debug, Serialize)]
#[allow(missing_docs)] // named and explained in the API reference
pub struct Message {
    pub id: MessageId,
    pub conversation_id: ConversationId,
    pub sender_id: String,
    pub body: Option<String>,
    pub message_type: MessageType,
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

/// A conversation. For webhooks, `tinychat.conversation_json` writes it, and a test compares each of its fields.
#[derive(Debug, Serialize)]
#[allow(missing_docs)] // named and explained in the API reference
pub struct Conversation {
    pub id: ConversationId,
    pub tenant_id: TenantId,
    pub kind: Kind,
    pub external_ref: Option<String>,
    pub participants: Vec<String>,
    pub status: Status,
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
    pub role: Role,
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
            notification_prefs: row.try_get::<Json<_>>("notification_prefs")?.0,
            last_seen_at: row.try_get("last_seen_at")?,
        })
    }
}
