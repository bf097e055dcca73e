//! POST /v1/conversations/{id}/typing: tells who listens that someone is typing. Nothing is stored.

use serde_json::{Value, json};
use shared::db::Route;
use shared::fields::Name;
use shared::http::{Request, serve};
use shared::realtime::Realtime;
use shared::{Result, telemetry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    telemetry::init();
    let realtime = Realtime::from_env()?;
    let route = Route::connect(include_str!("send-typing.sql")).await?;
    serve(|request| send_typing(&route, &realtime, request)).await
}

struct Input {
    sender_id: Name,
    sender_name: Option<Name>,
}

impl Input {
    fn parse(request: &Request) -> Result<Self> {
        let mut body = request.json()?;
        Ok(Self { sender_id: body.required("sender_id")?, sender_name: body.optional_text("sender_name")? })
    }
}

async fn send_typing(route: &Route, realtime: &Realtime, request: Request) -> Result<Value> {
    let key = request.key()?;
    let input = route.admit(&key, Input::parse(&request)).await?;
    let conversation = request.conversation();
    let row = route.row(&key, &[("conversation_id", &conversation)]).await?;
    realtime.typing(row.try_get("tenant_id")?, conversation, &input.sender_id, input.sender_name.as_deref());
    Ok(json!({ "ok": true }))
}
