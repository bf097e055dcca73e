//! POST /v1/conversations: creates a conversation, or returns the one that has the same `external_ref`.

use serde::Serialize;
use shared::db::Db;
use shared::fields::{Kind, Name, TextList};
use shared::http::{Request, serve};
use shared::model::{Conversation, ConversationId};
use shared::{Result, telemetry};
use tokio_postgres::types::Type;

const STATEMENT: &str = include_str!("create-conversation.sql");

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    telemetry::init();
    let db = Db::connect().await?;
    serve(|request| create_conversation(&db, request)).await
}

struct Input {
    kind: Kind,
    external_ref: Option<Name>,
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

#[derive(Serialize)]
struct Answer {
    conversation: Conversation,
}

async fn create_conversation(db: &Db, request: Request) -> Result<Answer> {
    let key = request.key()?;
    let input = db.admit(&key, Input::parse(&request)).await?;
    let row = db
        .row(
            &key,
            STATEMENT,
            &[
                (&ConversationId::random(), Type::UUID),
                (&input.kind.as_str(), Type::TEXT),
                (&input.external_ref, Type::TEXT),
                (&input.participants, Type::TEXT_ARRAY),
            ],
        )
        .await?;
    Ok(Answer { conversation: Conversation::try_from(&row)? })
}
