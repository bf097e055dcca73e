//! DELETE /v1/conversations/{id}/messages/{msgId}: marks a message as deleted and broadcasts that.

use shared::auth::{Credential, CredentialKind};
use shared::db::Route;
use shared::fields::ShortText;
use shared::http::{Request, serve};
use shared::model::{DeletionId, EventId, FullMessage, MessageEnvelope};
use shared::realtime::Realtime;
use shared::{Result, telemetry, webhook};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    telemetry::init()?;
    let realtime = Realtime::from_env()?;
    let route = Route::connect(include_str!("delete-message.sql")).await?;
    serve(|request| delete_message(&route, &realtime, request)).await
}

struct Input {
    sender_id: Option<ShortText>,
}

impl Input {
    fn parse(request: &Request, credential: &Credential) -> Result<Self> {
        let mut body = request.json()?;
        let sender_id = match credential.kind() {
            // The tenant's backend may delete any message.
            CredentialKind::Secret => body.optional_text("sender_id")?,
            CredentialKind::Publishable | CredentialKind::Token => credential.user(&mut body, "sender_id")?,
        };
        Ok(Self { sender_id })
    }
}

async fn delete_message(route: &Route, realtime: &Realtime, request: Request) -> Result<MessageEnvelope> {
    let credential = request.credential()?;
    let input = route.admit(&credential, Input::parse(&request, &credential)).await?;
    let row = route
        .row(
            &credential,
            &[
                ("conversation_id", &request.conversation_id()),
                ("id", &request.message_id()),
                ("sender_id", &input.sender_id),
                ("deletion_id", &DeletionId::new()),
                ("event_id", &EventId::new()),
                ("inbox", &realtime.inbox),
            ],
        )
        .await?;
    let response = MessageEnvelope { message: FullMessage::try_from(&row)? };
    // A repeated deletion gets the same response, and isn't broadcast again.
    if row.try_get("untold")? {
        realtime.message(&row, &response)?;
    }
    webhook::deliver(&route.db, row.try_get("deliveries")?);
    Ok(response)
}
