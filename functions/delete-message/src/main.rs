//! DELETE /v1/conversations/{id}/messages/{msgId}: hides a message and broadcasts that it is gone.

use shared::db::Db;
use shared::fields::Name;
use shared::http::{Request, serve};
use shared::model::{DeletionId, EventId, FullMessage, MessageEnvelope};
use shared::realtime::Realtime;
use shared::{Result, telemetry, webhook};
use tokio_postgres::types::Type;

const STATEMENT: &str = include_str!("delete-message.sql");

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    telemetry::init();
    let realtime = Realtime::from_env()?;
    let db = Db::connect().await?;
    serve(|request| delete_message(&db, &realtime, request)).await
}

struct Input {
    sender_id: Name,
}

impl Input {
    fn parse(request: &Request) -> Result<Self> {
        Ok(Self { sender_id: request.json()?.required("sender_id")? })
    }
}

async fn delete_message(db: &Db, realtime: &Realtime, request: Request) -> Result<MessageEnvelope> {
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
                (&DeletionId::random(), Type::UUID),
                (&EventId::now(), Type::UUID),
            ],
        )
        .await?;
    let answer = MessageEnvelope { message: FullMessage::try_from(&row)? };
    // Deleting again gets the same answer, and nobody needs to hear of it twice.
    if row.try_get("deleted_now")? {
        realtime.message(row.try_get("tenant_id")?, &answer);
    }
    webhook::deliver(db, row.try_get("deliveries")?);
    Ok(answer)
}
