//! GET /v1/conversations: a user's conversations, newest activity first.

use serde::Serialize;
use serde_json::value::RawValue;
use shared::auth::Credential;
use shared::db::Route;
use shared::fields::{Kind, Name};
use shared::http::{Request, serve};
use shared::model::{Conversation, List};
use shared::{Result, telemetry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    telemetry::init();
    let route = Route::connect(include_str!("list-conversations.sql")).await?;
    serve(|request| list_conversations(&route, request)).await
}

struct Input {
    user_id: Option<Name>,
    kind: Option<Kind>,
}

impl Input {
    fn parse(request: &Request, credential: &Credential) -> Result<Self> {
        let mut query = request.query();
        Ok(Self { user_id: query.user("user_id", credential)?, kind: query.optional("kind")? })
    }
}

#[derive(Serialize)]
struct Answer {
    conversations: Vec<Box<RawValue>>,
}

async fn list_conversations(route: &Route, request: Request) -> Result<Answer> {
    let credential = request.credential()?;
    let input = route.admit(&credential, Input::parse(&request, &credential)).await?;
    let kinds: Vec<&str> = Kind::ALL
        .iter()
        .filter(|kind| input.kind.is_none_or(|wanted| wanted == **kind))
        .map(|kind| kind.as_str())
        .collect();
    let rows = route.rows(&credential, &[("user_id", &input.user_id), ("kinds", &kinds)]).await?;
    Ok(Answer { conversations: List::read::<Conversation>(&rows, 100)?.items })
}
