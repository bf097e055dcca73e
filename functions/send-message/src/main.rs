//! POST /v1/conversations/{id}/messages: stores a message and broadcasts it.

use shared::auth::Credential;
use shared::db::Route;
use shared::fields::{MediaUrl, MessageBody, MessageType, Name, Text};
use shared::http::{Request, serve};
use shared::model::{EventId, FullMessage, MessageEnvelope, MessageId};
use shared::realtime::Realtime;
use shared::{Error, Result, telemetry, webhook};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    telemetry::init();
    let realtime = Realtime::from_env()?;
    let route = Route::connect(include_str!("send-message.sql")).await?;
    serve(|request| send_message(&route, &realtime, request)).await
}

struct Input {
    sender_id: Option<Name>,
    body: Option<MessageBody>,
    message_type: MessageType,
    media_url: Option<MediaUrl>,
    reply_to: Option<MessageId>,
    receiver_id: Option<Name>,
    client_message_id: Option<Text<64>>,
}

impl Input {
    fn parse(request: &Request, credential: &Credential) -> Result<Self> {
        let mut body = request.json()?;
        let input = Self {
            sender_id: body.user("sender_id", credential)?,
            body: body.optional_text("body")?,
            message_type: body.optional("message_type")?.unwrap_or(MessageType::Text),
            media_url: body.optional_text("media_url")?,
            reply_to: body.optional_text("reply_to")?,
            receiver_id: body.optional_text("receiver_id")?,
            client_message_id: body.optional_text("client_message_id")?,
        };
        match input.message_type {
            MessageType::Text if input.body.is_none() => Err(Error::invalid("body is required")),
            MessageType::Image if input.media_url.is_none() => Err(Error::invalid("media_url is required")),
            MessageType::Text | MessageType::Image => Ok(input),
        }
    }
}

async fn send_message(route: &Route, realtime: &Realtime, request: Request) -> Result<MessageEnvelope> {
    let credential = request.credential()?;
    let input = route.admit(&credential, Input::parse(&request, &credential)).await?;
    let row = route
        .row(
            &credential,
            &[
                ("conversation_id", &request.conversation()),
                ("id", &MessageId::now()),
                ("sender_id", &input.sender_id),
                ("receiver_id", &input.receiver_id),
                ("body", &input.body),
                ("message_type", &input.message_type.as_str()),
                ("media_url", &input.media_url),
                ("reply_to", &input.reply_to),
                ("client_message_id", &input.client_message_id),
                ("event_id", &EventId::now()),
            ],
        )
        .await?;
    let answer = MessageEnvelope { message: FullMessage::try_from(&row)? };
    // An earlier message with the same client_message_id was broadcast when it was sent.
    if row.try_get("untold")? {
        realtime.message(&row, &answer)?;
    }
    webhook::deliver(&route.db, row.try_get("deliveries")?);
    Ok(answer)
}
