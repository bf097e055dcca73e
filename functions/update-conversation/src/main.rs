//! PATCH /v1/conversations/{id}: changes a conversation's participants, closes it or opens it again.

use serde_json::Value;
use shared::db::Route;
use shared::fields::{Field, TextList};
use shared::http::{Request, serve};
use shared::model::{Conversation, ConversationEnvelope, EventId, Status};
use shared::realtime::Realtime;
use shared::{Error, Result, telemetry, webhook};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    telemetry::init()?;
    let realtime = Realtime::from_env()?;
    let route = Route::connect(include_str!("update-conversation.sql")).await?;
    serve(|request| update_conversation(&route, &realtime, request)).await
}

/// The maximum number of participants in a conversation.
const MAX_PARTICIPANTS: usize = 100;

struct Input {
    add_participants: Option<Users>,
    remove_participants: Option<Users>,
    status: Option<Status>,
}

impl Input {
    fn parse(request: &Request) -> Result<Self> {
        let mut body = request.json()?;
        Ok(Self {
            add_participants: body.optional("add_participants")?,
            remove_participants: body.optional("remove_participants")?,
            status: body.optional("status")?,
        })
    }
}

/// Users to add as participants, or to remove.
struct Users(TextList<MAX_PARTICIPANTS, 255>);

impl Field for Users {
    fn parse(name: &str, value: Value) -> Result<Self> {
        match value.as_array() {
            Some(users) if users.len() > MAX_PARTICIPANTS => Err(Error::invalid("too many participants")),
            _ => TextList::parse(name, value).map(|users| Self(users.deduplicated())),
        }
    }
}

async fn update_conversation(
    route: &Route,
    realtime: &Realtime,
    request: Request,
) -> Result<ConversationEnvelope> {
    let credential = request.credential()?;
    let input = route.admit(&credential, Input::parse(&request)).await?;
    let row = route
        .row(
            &credential,
            &[
                ("conversation_id", &request.conversation_id()),
                ("add_participants", &input.add_participants.map(|users| users.0)),
                ("remove_participants", &input.remove_participants.map(|users| users.0)),
                ("status", &input.status),
                ("event_id", &EventId::new()),
                ("inbox", &realtime.inbox),
            ],
        )
        .await?;
    let response = ConversationEnvelope { conversation: Conversation::try_from(&row)? };
    if row.try_get("untold")? {
        realtime.conversation(&row, &response)?;
    }
    webhook::deliver(&route.db, row.try_get("deliveries")?);
    Ok(response)
}
