//! GET /v1/conversations/{id}: a conversation and its participants.

use serde::Serialize;
use serde_json::value::RawValue;
use shared::db::Route;
use shared::http::{Request, serve};
use shared::model::{Conversation, Json};
use shared::{Result, telemetry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    telemetry::init()?;
    let route = Route::connect(include_str!("get-conversation.sql")).await?;
    serve(|request| get_conversation(&route, request)).await
}

#[derive(Serialize)]
struct Response {
    conversation: WithMembers,
}

#[derive(Serialize)]
struct WithMembers {
    #[serde(flatten)]
    conversation: Conversation,
    /// JSON as Postgres writes it.
    members: Box<RawValue>,
}

async fn get_conversation(route: &Route, request: Request) -> Result<Response> {
    let credential = request.credential()?;
    let row = route.row(&credential, &[("conversation_id", &request.conversation_id())]).await?;
    let members = row.try_get::<Json<_>>("members")?.0;
    Ok(Response { conversation: WithMembers { conversation: Conversation::try_from(&row)?, members } })
}
