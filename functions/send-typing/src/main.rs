//! POST /v1/conversations/{id}/typing: broadcasts that a user is typing. Nothing is stored.

use serde_json::{Value, json};
use shared::auth::Credential;
use shared::db::{Argument, Route};
use shared::fields::ShortText;
use shared::http::{Request, serve};
use shared::realtime::Realtime;
use shared::{Result, telemetry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    telemetry::init()?;
    let realtime = Realtime::from_env()?;
    let route = Route::connect(include_str!("send-typing.sql")).await?;
    serve(|request| send_typing(&route, &realtime, request)).await
}

struct Input {
    sender_id: Option<ShortText>,
    sender_name: Option<ShortText>,
}

impl Input {
    fn parse(request: &Request, credential: &Credential) -> Result<Self> {
        let mut body = request.json()?;
        Ok(Self {
            sender_id: credential.user(&mut body, "sender_id")?,
            sender_name: body.optional_text("sender_name")?,
        })
    }
}

async fn send_typing(route: &Route, realtime: &Realtime, request: Request) -> Result<Value> {
    let credential = request.credential()?;
    let input = route.admit(&credential, Input::parse(&request, &credential)).await?;
    let conversation = request.conversation_id();
    let arguments: [Argument; 2] = [("conversation_id", &conversation), ("sender_id", &input.sender_id)];
    let row = route.row(&credential, &arguments).await?;
    realtime.typing(&row, conversation, input.sender_name.as_deref())?;
    Ok(json!({ "ok": true }))
}
