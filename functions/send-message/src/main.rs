//! POST /v1/conversations/{id}/messages: stores a message and broadcasts it.

use serde_json::Value;
use shared::auth::{Credential, CredentialKind};
use shared::db::Route;
use shared::fields::{Field, MediaUrl, MessageBody, Object, ShortText, Text};
use shared::http::{Request, serve};
use shared::model::{EventId, FullMessage, MessageEnvelope, MessageId, MessageType};
use shared::realtime::Realtime;
use shared::{Error, Result, telemetry, webhook};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    telemetry::init()?;
    let realtime = Realtime::from_env()?;
    let route = Route::connect(include_str!("send-message.sql")).await?;
    serve(|request| send_message(&route, &realtime, request)).await
}

struct Input {
    sender_id: Option<ShortText>,
    body: Option<MessageBody>,
    message_type: MessageType,
    media_url: Option<MediaUrl>,
    reply_to: Option<MessageId>,
    receiver_id: Option<ShortText>,
    client_message_id: Option<Text<64>>,
    metadata: Option<Object<4_096>>,
}

impl Input {
    fn parse(request: &Request, credential: &Credential) -> Result<Self> {
        let mut body = request.json()?;
        let message_type = match credential.kind() {
            CredentialKind::Secret => body.optional("message_type")?,
            CredentialKind::Publishable | CredentialKind::Token => {
                body.optional("message_type")?.map(|FromUser(message_type)| message_type)
            }
        };
        let input = Self {
            sender_id: credential.user(&mut body, "sender_id")?,
            body: body.optional_text("body")?,
            message_type: message_type.unwrap_or(MessageType::Text),
            media_url: body.optional_text("media_url")?,
            reply_to: body.optional_text("reply_to")?,
            receiver_id: body.optional_text("receiver_id")?,
            client_message_id: body.optional_text("client_message_id")?,
            metadata: body.optional_object("metadata")?,
        };
        if input.message_type == MessageType::Image {
            if input.media_url.is_none() {
                return Err(Error::invalid("media_url is required"));
            }
        } else if input.body.is_none() {
            return Err(Error::invalid("body is required"));
        }
        Ok(input)
    }
}

/// The type of a message that a user sends.
struct FromUser(MessageType);

impl Field for FromUser {
    fn parse(name: &str, value: Value) -> Result<Self> {
        MessageType::parse_one_of(&[MessageType::Text, MessageType::Image], name, &value).map(Self)
    }
}

async fn send_message(route: &Route, realtime: &Realtime, request: Request) -> Result<MessageEnvelope> {
    let credential = request.credential()?;
    let input = route.admit(&credential, Input::parse(&request, &credential)).await?;
    let row = route
        .row(
            &credential,
            &[
                ("conversation_id", &request.conversation_id()),
                ("id", &MessageId::new()),
                ("sender_id", &input.sender_id),
                ("receiver_id", &input.receiver_id),
                ("body", &input.body),
                ("message_type", &input.message_type),
                ("media_url", &input.media_url),
                ("reply_to", &input.reply_to),
                ("client_message_id", &input.client_message_id),
                ("metadata", &input.metadata),
                ("event_id", &EventId::new()),
                ("inbox", &realtime.inbox),
            ],
        )
        .await?;
    let response = MessageEnvelope { message: FullMessage::try_from(&row)? };
    // A stored message with the same client_message_id was broadcast when it was sent.
    if row.try_get("untold")? {
        realtime.message(&row, &response)?;
    }
    webhook::deliver(&route.db, row.try_get("deliveries")?);
    Ok(response)
}
