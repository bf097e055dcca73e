//! DELETE /v1/conversations/{id}/messages/{msgId}: hides a message and broadcasts that it is gone.

use shared::db::Route;
use shared::fields::Name;
use shared::http::{Request, serve};
use shared::model::{DeletionId, EventId, FullMessage, MessageEnvelope};
use shared::realtime::Realtime;
use shared::{Result, telemetry, webhook};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    telemetry::init();
    let realtime = Realtime::from_env()?;
    let route = Route::connect(include_str!("delete-message.sql")).await?;
    serve(|request| delete_message(&route, &realtime, request)).await
}

struct Input {
    sender_id: Name,
}

impl Input {
    fn parse(request: &Request) -> Result<Self> {
        Ok(Self { sender_id: request.json()?.required("sender_id")? })
    }
}

async fn delete_message(route: &Route, realtime: &Realtime, request: Request) -> Result<MessageEnvelope> {
    let key = request.key()?;
    let input = route.admit(&key, Input::parse(&request)).await?;
    let row = route
        .row(
            &key,
            &[
                ("conversation_id", &request.conversation()),
                ("id", &request.message()),
                ("sender_id", &input.sender_id),
                ("deletion_id", &DeletionId::random()),
                ("event_id", &EventId::now()),
            ],
        )
        .await?;
    let answer = MessageEnvelope { message: FullMessage::try_from(&row)? };
    // Deleting again gets the same answer, and nobody needs to hear of it twice.
    if row.try_get("deleted_now")? {
        realtime.message(row.try_get("tenant_id")?, &answer);
    }
    webhook::deliver(&route.db, row.try_get("deliveries")?);
    Ok(answer)
}
