//! POST /v1/conversations/{id}/typing: tells who listens that someone is typing. Nothing is stored.

use serde_json::{Value, json};
use shared::db::Db;
use shared::fields::Name;
use shared::http::{Request, serve};
use shared::realtime::Realtime;
use shared::{Result, telemetry};
use tokio_postgres::types::Type;

const STATEMENT: &str = include_str!("send-typing.sql");

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    telemetry::init();
    let realtime = Realtime::from_env()?;
    let db = Db::connect().await?;
    serve(|request| send_typing(&db, &realtime, request)).await
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

async fn send_typing(db: &Db, realtime: &Realtime, request: Request) -> Result<Value> {
    let key = request.key()?;
    let input = db.admit(&key, Input::parse(&request)).await?;
    let conversation = request.conversation();
    let row = db.row(&key, STATEMENT, &[(&conversation, Type::UUID)]).await?;
    realtime.typing(row.try_get("tenant_id")?, conversation, &input.sender_id, input.sender_name.as_deref());
    Ok(json!({ "ok": true }))
}
