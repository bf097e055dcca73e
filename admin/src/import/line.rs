//! A single line of the file. The API's rules apply to its fields.

use serde::Serialize;
use serde_json::Value;
use shared::fields::{Field, Fields, MediaUrl, MessageBody, Object, ShortText, Text, TextList};
use shared::model::{Kind, MessageType, Role, Status, Timestamp};
use shared::{Error, Result};
use std::collections::BTreeMap;
use uuid::Uuid;

pub enum Line {
    User(User),
    Conversation(Conversation),
    Message(Message),
}

#[derive(Debug, Serialize)]
#[expect(clippy::struct_field_names, reason = "the API's own names")]
pub struct User {
    pub id: Option<Id>,
    pub user_id: ShortText,
    pub name: Option<ShortText>,
    pub email: Option<ShortText>,
    pub role: Role,
    pub fcm_tokens: Option<TextList<20, 4_096>>,
    pub notification_prefs: Option<Object<16_384>>,
    pub last_seen_at: Option<Timestamp>,
}

#[derive(Debug, Serialize)]
pub struct Conversation {
    pub line: u64,
    pub id: Uuid,
    pub kind: Kind,
    pub external_ref: Option<ShortText>,
    pub participants: TextList<100, 255>,
    pub status: Status,
    /// The time up to which each participant has read. Participants without a time have read everything.
    pub read_at: Option<Times>,
    pub created_at: Timestamp,
    pub last_at: Option<Timestamp>,
    /// The time of the last change other than a new message.
    #[serde(rename = "changed_at")]
    pub updated_at: Option<Timestamp>,
}

#[expect(clippy::struct_field_names, reason = "the API's own names")]
pub struct Message {
    pub id: Option<ShortText>,
    pub conversation_id: Option<Id>,
    pub sender_id: ShortText,
    pub receiver_id: Option<ShortText>,
    pub body: Option<MessageBody>,
    pub message_type: MessageType,
    pub media_url: Option<MediaUrl>,
    pub reply_to: Option<ShortText>,
    pub client_message_id: Option<Text<64>>,
    pub metadata: Option<Object<4_096>>,
    pub created_at: Timestamp,
    pub updated_at: Option<Timestamp>,
    pub edited_at: Option<Timestamp>,
    pub deleted_at: Option<Timestamp>,
}

impl Line {
    pub fn parse(json: &[u8], line: u64) -> Result<Self> {
        let mut fields = Fields::from_json(json)?;
        let kind: ShortText = fields.required("type")?;
        match &*kind {
            "user" => Ok(Self::User(User {
                id: fields.optional("id")?,
                user_id: fields.required("user_id")?,
                name: fields.optional_text("name")?,
                email: fields.optional_text("email")?,
                role: fields.optional("role")?.unwrap_or(Role::Customer),
                fcm_tokens: fields.optional("fcm_tokens")?,
                notification_prefs: fields.optional_object("notification_prefs")?,
                last_seen_at: optional_time(&mut fields, "last_seen_at")?,
            })),
            "conversation" => Ok(Self::Conversation(Conversation {
                line,
                id: fields.required::<Id>("id")?.0,
                kind: fields.required("kind")?,
                external_ref: fields.optional_text("external_ref")?,
                participants: fields.required::<TextList<100, 255>>("participants")?.deduplicated(),
                status: fields.optional("status")?.unwrap_or(Status::Open),
                read_at: fields.optional("read_at")?,
                created_at: fields.required::<Timestamp>("created_at")?.truncated(),
                last_at: optional_time(&mut fields, "last_at")?,
                updated_at: optional_time(&mut fields, "updated_at")?,
            })),
            "message" => Ok(Self::Message(Message {
                id: fields.optional_text("id")?,
                conversation_id: fields.optional("conversation_id")?,
                sender_id: fields.required("sender_id")?,
                receiver_id: fields.optional_text("receiver_id")?,
                body: fields.optional_text("body")?,
                message_type: fields.optional("message_type")?.unwrap_or(MessageType::Text),
                media_url: fields.optional_text("media_url")?,
                reply_to: fields.optional_text("reply_to")?,
                client_message_id: fields.optional_text("client_message_id")?,
                metadata: fields.optional_object("metadata")?,
                created_at: fields.required::<Timestamp>("created_at")?.truncated(),
                updated_at: optional_time(&mut fields, "updated_at")?,
                edited_at: optional_time(&mut fields, "edited_at")?,
                deleted_at: optional_time(&mut fields, "deleted_at")?,
            })),
            _ => Err(Error::invalid("type must be one of user, conversation, message")),
        }
    }
}

fn optional_time(fields: &mut Fields, name: &'static str) -> Result<Option<Timestamp>> {
    Ok(fields.optional(name)?.map(Timestamp::truncated))
}

/// An id that must be a UUID.
#[derive(Debug, Serialize)]
pub struct Id(pub Uuid);

impl Field for Id {
    fn parse(name: &str, value: Value) -> Result<Self> {
        let id = value.as_str().and_then(|text| Uuid::try_parse(text).ok());
        id.map(Self).ok_or_else(|| Error::invalid(format!("{name} must be a UUID")))
    }
}

/// Times by user.
#[derive(Debug, Serialize)]
pub struct Times(BTreeMap<String, Timestamp>);

impl Field for Times {
    fn parse(name: &str, value: Value) -> Result<Self> {
        let Value::Object(times) = value else {
            return Err(Error::invalid(format!("{name} must be an object of times")));
        };
        let times = times
            .into_iter()
            .map(|(user, time)| Ok((user, <Timestamp as Field>::parse(name, time)?.truncated())));
        times.collect::<Result<_>>().map(Self)
    }
}
