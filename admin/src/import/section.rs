//! A conversation with its messages, ready to be stored: in order, with ids and with unique times.

use super::Fault;
use super::line::{Conversation, Message, User};
use serde::Serialize;
use sha2::{Digest, Sha256};
use shared::fields::{MediaUrl, MessageBody, Object, ShortText, Text};
use shared::model::{MessageType, Timestamp};
use std::collections::{HashMap, HashSet};
use uuid::{Builder, Uuid};

pub enum Section {
    User(User),
    Conversation(Conversation, Vec<Row>),
}

/// A message as a row.
#[derive(Debug, Serialize)]
pub struct Row {
    pub line: u64,
    pub conversation_id: Uuid,
    pub id: Uuid,
    sender_id: ShortText,
    receiver_id: Option<ShortText>,
    body: Option<MessageBody>,
    message_type: &'static str,
    media_url: Option<MediaUrl>,
    reply_to: Option<Uuid>,
    client_message_id: Option<Text<64>>,
    metadata: Option<Object<4_096>>,
    created_at: Timestamp,
    edited_at: Option<Timestamp>,
    deleted_at: Option<Timestamp>,
    changed_at: Option<Timestamp>,
}

/// Combines a conversation and the messages after it, or returns their faults.
pub fn assemble(
    mut conversation: Conversation,
    messages: Vec<(u64, Message)>,
    now: i64,
    new_ids: Option<Uuid>,
) -> Result<Section, Vec<Fault>> {
    let original = conversation.id;
    if let Some(tenant) = new_ids {
        conversation.id =
            Builder::from_random_bytes(hash(&[tenant.as_bytes(), original.as_bytes()])).into_uuid();
    }
    let mut faults = Vec::new();
    let mut fault = |line, text: &str| faults.push(Fault { line, text: text.to_owned() });
    if conversation.created_at.milliseconds() > now {
        fault(conversation.line, "created_at must not be in the future");
    }
    let mut ids = HashMap::new();
    let mut requests = HashSet::new();
    // The times of the conversation's clock that are already used.
    let mut taken = HashSet::new();
    let mut latest = None;
    let mut rows = Vec::with_capacity(messages.len());
    for (line, message) in messages {
        let created = message.created_at.milliseconds();
        let later = [message.updated_at, message.edited_at, message.deleted_at];
        let image = message.message_type == MessageType::Image;
        let complete = if image { message.media_url.is_some() } else { message.body.is_some() };
        if message.conversation_id.as_ref().is_some_and(|id| id.0 != original) {
            fault(line, "conversation_id must be that of the preceding conversation");
        }
        if created > now {
            fault(line, "created_at must not be in the future");
        }
        if latest.is_some_and(|latest| created <= latest) {
            fault(line, "created_at must be at least a millisecond later than that of the previous message");
        }
        if later.iter().flatten().any(|time| time.milliseconds() < created) {
            fault(line, "updated_at, edited_at and deleted_at must not be before created_at");
        }
        if !complete && message.deleted_at.is_none() {
            fault(line, "body is required (for an image, media_url)");
        }
        let name = message.id.as_deref().unwrap_or_default();
        let id = message_id(name, created);
        if ids.insert(name.to_owned(), id).is_some() && !name.is_empty() {
            fault(line, "id is also that of another message");
        }
        let request = message.client_message_id.as_ref().map(|id| (message.sender_id.clone(), id.clone()));
        if request.is_some_and(|request| !requests.insert(request)) {
            fault(line, "client_message_id is also that of another message of this sender");
        }
        // A message that isn't in the file may already be in the database.
        let reply_to = message.reply_to.map(|name| {
            ids.get(&*name).copied().unwrap_or_else(|| Uuid::try_parse(&name).unwrap_or_default())
        });
        taken.insert(created);
        latest = Some(created);
        rows.push((
            later,
            Row {
                line,
                conversation_id: conversation.id,
                id,
                sender_id: message.sender_id,
                receiver_id: message.receiver_id,
                body: message.body,
                message_type: message.message_type.as_str(),
                media_url: message.media_url,
                reply_to,
                client_message_id: message.client_message_id,
                metadata: message.metadata,
                created_at: message.created_at,
                edited_at: message.edited_at,
                deleted_at: message.deleted_at,
                changed_at: None,
            },
        ));
    }
    // First the given times, then times for changes without one.
    for ([updated_at, ..], row) in &mut rows {
        let created = row.created_at.milliseconds();
        row.changed_at = updated_at.filter(|time| time.milliseconds() != created);
        if row.changed_at.is_some_and(|time| !taken.insert(time.milliseconds())) {
            fault(row.line, "updated_at is also the time of another change of the conversation");
        }
    }
    for ([updated_at, others @ ..], row) in &mut rows {
        let changed = others.iter().flatten().map(|time| time.milliseconds()).max();
        if let (None, Some(changed)) = (updated_at, changed) {
            let mut free = changed;
            while !taken.insert(free) {
                free += 1;
            }
            row.changed_at = Timestamp::from_milliseconds(free);
        }
    }
    let rows: Vec<_> = rows.into_iter().map(|(_, row)| row).collect();
    conversation.last_at = conversation.last_at.max(rows.last().map(|row| row.created_at));
    let sent = conversation.last_at.max(Some(conversation.created_at));
    conversation.updated_at = conversation.updated_at.filter(|time| Some(*time) > sent);
    conversation.updated_at = conversation.updated_at.max(rows.iter().filter_map(|row| row.changed_at).max());
    if faults.is_empty() { Ok(Section::Conversation(conversation, rows)) } else { Err(faults) }
}

/// Returns a message's own id if it begins with the time, as TinyChat's ids do. Otherwise returns an id that begins
/// with the time and is the same on each run.
fn message_id(name: &str, created: i64) -> Uuid {
    let own = Uuid::try_parse(name).ok().filter(|id| id.get_version_num() == 7);
    own.unwrap_or_else(|| {
        let [_, _, _, _, _, _, rest @ ..] = hash(&[name.as_bytes(), &created.to_be_bytes()]);
        Builder::from_unix_timestamp_millis(u64::try_from(created).unwrap_or_default(), &rest).into_uuid()
    })
}

fn hash(parts: &[&[u8]]) -> [u8; 16] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
    }
    let mut bytes = [0; 16];
    bytes.iter_mut().zip(hash.finalize()).for_each(|(byte, hashed)| *byte = hashed);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::line::Line;
    use serde_json::{Value, json};

    const NOW: i64 = 1_800_000_000_000;

    fn conversation() -> Conversation {
        let line = json!({
            "type": "conversation", "id": "c0ffee00-0000-4000-8000-000000000001", "kind": "direct",
            "participants": ["ada", "bob"], "created_at": "2026-01-01T00:00:00Z",
        });
        match Line::parse(line.to_string().as_bytes(), 1).unwrap() {
            Line::Conversation(conversation) => conversation,
            _ => panic!("another line"),
        }
    }

    /// Returns the rows of messages with these fields, or the faults as lines and texts.
    fn rows(messages: &[Value]) -> Result<Vec<Value>, Vec<(u64, String)>> {
        let messages = messages.iter().zip(2..).map(|(special, line)| {
            let created_at = format!("2026-01-01T00:00:{line:02}Z");
            let mut message =
                json!({ "type": "message", "sender_id": "ada", "body": "hi", "created_at": created_at });
            message.as_object_mut().unwrap().extend(special.as_object().unwrap().clone());
            match Line::parse(message.to_string().as_bytes(), line).unwrap() {
                Line::Message(message) => (line, message),
                _ => panic!("another line"),
            }
        });
        match assemble(conversation(), messages.collect(), NOW, None) {
            Ok(Section::Conversation(_, rows)) => {
                Ok(rows.iter().map(|row| serde_json::to_value(row).unwrap()).collect())
            }
            Ok(Section::User(_)) => panic!("another section"),
            Err(faults) => Err(faults.into_iter().map(|fault| (fault.line, fault.text)).collect()),
        }
    }

    #[test]
    fn a_violation_of_order_or_uniqueness_is_reported_with_its_line() {
        let second = json!({ "created_at": "2026-01-01T00:00:02.000900Z" });
        let same = json!({ "id": "a", "client_message_id": "c" });
        let edited = json!({ "updated_at": "2026-01-01T00:00:03Z" });
        for (messages, line, text) in [
            (vec![json!({}), second], 3, "created_at must be at least"),
            (vec![same.clone(), same.clone()], 3, "id is also that"),
            (
                vec![json!({ "client_message_id": "c" }), json!({ "client_message_id": "c" })],
                3,
                "client_message_id is also",
            ),
            (vec![edited, json!({})], 2, "updated_at is also the time"),
            (vec![json!({ "deleted_at": "2025-01-01T00:00:00Z" })], 2, "must not be before created_at"),
            (vec![json!({ "created_at": "2030-01-01T00:00:00Z" })], 2, "must not be in the future"),
            (vec![json!({ "body": null })], 2, "body is required"),
            (vec![json!({ "conversation_id": Uuid::nil() })], 2, "conversation_id must be"),
        ] {
            let faults = rows(&messages).unwrap_err();
            assert!(faults.iter().any(|(at, told)| *at == line && told.contains(text)), "{faults:?}");
        }
    }

    #[test]
    fn ids_of_another_service_become_ids_that_begin_with_the_time_and_replies_refer_to_them() {
        let messages = [json!({ "id": "m-1" }), json!({ "id": "m-2", "reply_to": "m-1" }), json!({})];
        let imported = rows(&messages).unwrap();
        assert_eq!(imported[1]["reply_to"], imported[0]["id"]);
        assert_eq!(rows(&messages).unwrap(), imported);
        for row in &imported {
            assert_eq!(row["id"].as_str().unwrap().parse::<Uuid>().unwrap().get_version_num(), 7);
        }
        let own = json!({ "id": "01990000-0000-7000-8000-000000000001" });
        assert_eq!(rows(std::slice::from_ref(&own)).unwrap()[0]["id"], own["id"]);
    }

    #[test]
    fn edits_without_a_time_of_change_get_unused_times() {
        let edit = json!({ "edited_at": "2026-01-01T00:00:03Z" });
        let times: Vec<_> =
            rows(&[edit.clone(), edit]).unwrap().iter().map(|row| row["changed_at"].clone()).collect();
        assert_eq!(times, ["2026-01-01T00:00:03.001Z", "2026-01-01T00:00:03.002Z"]);
    }
}
