//! The recipients of a new message, with the data that a push service needs. They are read for each attempt and aren't
//! stored.

use crate::db::Db;
use crate::{Error, Result};
use serde::Deserialize;
use tokio_postgres::types::Type;
use uuid::Uuid;

/// The maximum size of an event's recipients, in bytes. A hundred participants with three tokens each need that much.
/// Each attempt in progress holds them in memory, and deliver-webhooks makes up to 512 at once.
const LIMIT: i64 = 65_536;

/// The part of an event's payload that identifies the conversation and the sender.
#[derive(Deserialize)]
struct Payload {
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    message: Message,
}

#[derive(Deserialize)]
struct Message {
    conversation_id: Uuid,
    sender_id: String,
}

/// Returns the payload of a `message.created` with `data.recipients` added. If they don't all fit into [`LIMIT`], the
/// number of the others is in `data.recipients_left_out`.
pub(super) async fn add(db: &Db, tenant: Uuid, payload: &str) -> Result<String> {
    let invalid = || Error::Database("the payload isn't that of a message event".into());
    let Payload { data: Data { message } } = serde_json::from_str(payload).map_err(|_| invalid())?;
    let params = [
        (&tenant as _, Type::UUID),
        (&message.conversation_id as _, Type::UUID),
        (&message.sender_id as _, Type::TEXT),
        (&LIMIT as _, Type::INT8),
    ];
    let rows = db.run(include_str!("recipients.sql"), &params).await?;
    let row = rows.first().ok_or_else(invalid)?;
    let (recipients, left_out): (&str, i64) = (row.try_get("recipients")?, row.try_get("left_out")?);
    // Postgres has written the payload, so it ends with the closing braces of `data` and of the whole object.
    let start = payload.strip_suffix("}}").ok_or_else(invalid)?;
    let left_out =
        if left_out > 0 { format!(r#", "recipients_left_out" : {left_out}"#) } else { String::new() };
    Ok(format!(r#"{start}, "recipients" : {recipients}{left_out}}}}}"#))
}
