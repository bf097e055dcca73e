//! POST /v1/conversations: creates a conversation, or returns the one that has the same `external_ref`.

use shared::db::Route;
use shared::fields::{ShortText, TextList};
use shared::http::{Request, serve};
use shared::model::{Conversation, ConversationEnvelope, ConversationId, Kind};
use shared::realtime::Realtime;
use shared::{Result, telemetry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    telemetry::init()?;
    let realtime = Realtime::from_env()?;
    let route = Route::connect(include_str!("create-conversation.sql")).await?;
    serve(|request| create_conversation(&route, &realtime, request)).await
}

struct Input {
    kind: Kind,
    external_ref: Option<ShortText>,
    participants: TextList<100, 255>,
}

impl Input {
    fn parse(request: &Request) -> Result<Self> {
        let mut body = request.json()?;
        Ok(Self {
            kind: body.required("kind")?,
            external_ref: body.optional_text("external_ref")?,
            participants: body.required::<TextList<100, 255>>("participants")?.deduplicated(),
        })
    }
}

async fn create_conversation(
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
                ("id", &ConversationId::new()),
                ("kind", &input.kind),
                ("external_ref", &input.external_ref),
                ("participants", &input.participants),
                ("inbox", &realtime.inbox),
            ],
        )
        .await?;
    let response = ConversationEnvelope { conversation: Conversation::try_from(&row)? };
    realtime.new_conversation(&row, &response)?;
    Ok(response)
}
