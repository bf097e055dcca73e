//! Whom a new message is for: what a push service needs to know. It is read for each attempt and isn't kept.

use crate::db::Db;
use crate::{Error, Result};
use serde::Deserialize;
use tokio_postgres::types::Type;
use uuid::Uuid;

/// How many bytes an event's recipients may come to. A hundred participants with three tokens each need that much. An attempt
/// under way holds them in memory, and deliver-webhooks makes up to 512 at once.
const LIMIT: i64 = 65_536;

/// What of an event's payload says where to look.
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

/// The payload of a `message.created`, with `data.recipients` added to it; and with `data.recipients_left_out`, their number, if
/// there are more than [`LIMIT`] holds.
pub(super) async fn add(db: &Db, tenant: Uuid, payload: &str) -> Result<String> {
    let unfit = || Error::Database("a payload that isn't of a message".into());
    let Payload { data: Data { message } } = serde_json::from_str(payload).map_err(|_| unfit())?;
    let params = [
        (&tenant as _, Type::UUID),
        (&message.conversation_id as _, Type::UUID),
        (&message.sender_id as _, Type::TEXT),
        (&LIMIT as _, Type::INT8),
    ];
    let rows = db.run(include_str!("recipients.sql"), &params).await?;
    let row = rows.first().ok_or_else(unfit)?;
    let (recipients, left_out): (&str, i64) = (row.try_get("recipients")?, row.try_get("left_out")?);
    // Postgres has written the payload. Its text ends with the brackets of `data` and of the whole.
    let start = payload.strip_suffix("}}").ok_or_else(unfit)?;
    let left_out =
        if left_out > 0 { format!(r#", "recipients_left_out" : {left_out}"#) } else { String::new() };
    Ok(format!(r#"{start}, "recipients" : {recipients}{left_out}}}}}"#))
}
