//! GET /v1/conversations: a user's conversations, newest activity first.

use serde::Serialize;
use shared::db::Db;
use shared::fields::{Kind, Name};
use shared::http::{Request, serve};
use shared::model::{Conversation, list};
use shared::{Result, telemetry};
use tokio_postgres::types::Type;

const STATEMENT: &str = include_str!("list-conversations.sql");

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    telemetry::init();
    let db = Db::connect().await?;
    serve(|request| list_conversations(&db, request)).await
}

struct Input {
    user_id: Name,
    kind: Option<Kind>,
}

impl Input {
    fn parse(request: &Request) -> Result<Self> {
        let mut query = request.query();
        Ok(Self { user_id: query.required("user_id")?, kind: query.optional("kind")? })
    }
}

#[derive(Serialize)]
struct Answer {
    conversations: Vec<Conversation>,
}

async fn list_conversations(db: &Db, request: Request) -> Result<Answer> {
    let key = request.key()?;
    let input = db.admit(&key, Input::parse(&request)).await?;
    let kinds: Vec<&str> = Kind::ALL
        .iter()
        .filter(|kind| input.kind.is_none_or(|wanted| wanted == **kind))
        .map(|kind| kind.as_str())
        .collect();
    let params = [(&input.user_id as _, Type::TEXT), (&kinds as _, Type::TEXT_ARRAY)];
    let rows = db.rows(&key, STATEMENT, &params).await?;
    Ok(Answer { conversations: list(&rows)? })
}
