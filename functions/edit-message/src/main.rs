//! PATCH /v1/conversations/{id}/messages/{msgId}: replaces a message's text and broadcasts it.

use shared::auth::Credential;
use shared::db::Route;
use shared::fields::{MessageBody, ShortText};
use shared::http::{Request, serve};
use shared::model::{EventId, FullMessage, MessageEnvelope};
use shared::realtime::Realtime;
use shared::{Result, telemetry, webhook};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    telemetry::init()?;
    let realtime = Realtime::from_env()?;
    let route = Route::connect(include_str!("edit-message.sql")).await?;
    serve(|request| edit_message(&route, &realtime, request)).await
}

struct Input {
    sender_id: Option<ShortText>,
    body: MessageBody,
}

impl Input {
    fn parse(request: &Request, credential: &Credential) -> Result<Self> {
        let mut body = request.json()?;
        Ok(Self { sender_id: credential.user(&mut body, "sender_id")?, body: body.required("body")? })
    }
}

async fn edit_message(route: &Route, realtime: &Realtime, request: Request) -> Result<MessageEnvelope> {
    let credential = request.credential()?;
    let input = route.admit(&credential, Input::parse(&request, &credential)).await?;
    let row = route
        .row(
            &credential,
            &[
                ("conversation_id", &request.conversation_id()),
                ("id", &request.message_id()),
                ("sender_id", &input.sender_id),
                ("body", &input.body),
                ("event_id", &EventId::new()),
                ("inbox", &realtime.inbox),
            ],
        )
        .await?;
    let response = MessageEnvelope { message: FullMessage::try_from(&row)? };
    realtime.message(&row, &response)?;
    webhook::deliver(&route.db, row.try_get("deliveries")?);
    Ok(response)
}
