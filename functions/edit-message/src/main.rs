//! PATCH /v1/conversations/{id}/messages/{msgId}: replaces a message's text and broadcasts it.

use shared::db::Db;
use shared::fields::{MessageBody, Name};
use shared::http::{Request, serve};
use shared::model::{EventId, FullMessage, MessageEnvelope};
use shared::realtime::Realtime;
use shared::{Result, telemetry, webhook};
use tokio_postgres::types::Type;

const STATEMENT: &str = include_str!("edit-message.sql");

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    telemetry::init();
    let realtime = Realtime::from_env()?;
    let db = Db::connect().await?;
    serve(|request| edit_message(&db, &realtime, request)).await
}

struct Input {
    sender_id: Name,
    body: MessageBody,
}

impl Input {
    fn parse(request: &Request) -> Result<Self> {
        let mut body = request.json()?;
        Ok(Self { sender_id: body.required("sender_id")?, body: body.required("body")? })
    }
}

async fn edit_message(db: &Db, realtime: &Realtime, request: Request) -> Result<MessageEnvelope> {
    let key = request.key()?;
    let input = db.admit(&key, Input::parse(&request)).await?;
    let row = db
        .row(
            &key,
            STATEMENT,
            &[
                (&request.conversation(), Type::UUID),
                (&request.message(), Type::UUID),
                (&input.sender_id, Type::TEXT),
                (&input.body, Type::TEXT),
                (&EventId::now(), Type::UUID),
            ],
        )
        .await?;
    let answer = MessageEnvelope { message: FullMessage::try_from(&row)? };
    realtime.message(row.try_get("tenant_id")?, &answer);
    webhook::deliver(db, row.try_get("deliveries")?);
    Ok(answer)
}
