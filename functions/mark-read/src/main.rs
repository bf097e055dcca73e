//! POST /v1/conversations/{id}/read: moves a participant's read cursor forward, and broadcasts it.

use serde::Serialize;
use shared::auth::Credential;
use shared::db::Route;
use shared::fields::ShortText;
use shared::http::{Request, serve};
use shared::model::{MessageId, ReadCursor};
use shared::realtime::Realtime;
use shared::{Result, telemetry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    telemetry::init()?;
    let realtime = Realtime::from_env()?;
    let route = Route::connect(include_str!("mark-read.sql")).await?;
    serve(|request| mark_read(&route, &realtime, request)).await
}

struct Input {
    user_id: Option<ShortText>,
    message_id: Option<MessageId>,
}

impl Input {
    fn parse(request: &Request, credential: &Credential) -> Result<Self> {
        let mut body = request.json()?;
        Ok(Self { user_id: credential.user(&mut body, "user_id")?, message_id: body.optional("message_id")? })
    }
}

#[derive(Serialize)]
struct Response {
    read: Read,
}

#[derive(Serialize)]
struct Read {
    #[serde(flatten)]
    cursor: ReadCursor,
    unread_count: i64,
}

async fn mark_read(route: &Route, realtime: &Realtime, request: Request) -> Result<Response> {
    let credential = request.credential()?;
    let input = route.admit(&credential, Input::parse(&request, &credential)).await?;
    let row = route
        .row(
            &credential,
            &[
                ("conversation_id", &request.conversation_id()),
                ("user_id", &input.user_id),
                ("message_id", &input.message_id),
                ("inbox", &realtime.inbox),
            ],
        )
        .await?;
    let cursor = ReadCursor::try_from(&row)?;
    if row.try_get("moved")? {
        realtime.read(&row, &cursor)?;
    }
    Ok(Response { read: Read { cursor, unread_count: row.try_get("unread_count")? } })
}
