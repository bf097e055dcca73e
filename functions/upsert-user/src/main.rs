//! POST /v1/users: makes a user known, or brings what is known of one up to date.

use serde::Serialize;
use shared::db::Db;
use shared::fields::{Name, Object, Role, TextList};
use shared::http::{Request, serve};
use shared::model::{User, UserId};
use shared::{Result, telemetry};
use tokio_postgres::types::Type;

const STATEMENT: &str = include_str!("upsert-user.sql");

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    telemetry::init();
    let db = Db::connect().await?;
    serve(|request| upsert_user(&db, request)).await
}

struct Input {
    user_id: Name,
    name: Option<Name>,
    email: Option<Name>,
    role: Option<Role>,
    fcm_tokens: Option<TextList<20, 4_096>>,
    notification_prefs: Option<Object<16_384>>,
}

impl Input {
    fn parse(request: &Request) -> Result<Self> {
        let mut body = request.json()?;
        Ok(Self {
            user_id: body.required("user_id")?,
            name: body.optional_text("name")?,
            email: body.optional_text("email")?,
            role: body.optional("role")?,
            fcm_tokens: body.optional("fcm_tokens")?,
            notification_prefs: body.optional_object("notification_prefs")?,
        })
    }
}

#[derive(Serialize)]
struct Answer {
    user: User,
}

async fn upsert_user(db: &Db, request: Request) -> Result<Answer> {
    let key = request.key()?;
    let input = db.admit(&key, Input::parse(&request)).await?;
    let row = db
        .row(
            &key,
            STATEMENT,
            &[
                (&UserId::random(), Type::UUID),
                (&input.user_id, Type::TEXT),
                (&input.name, Type::TEXT),
                (&input.email, Type::TEXT),
                (&input.role.map(Role::as_str), Type::TEXT),
                (&input.fcm_tokens, Type::TEXT_ARRAY),
                (&input.notification_prefs, Type::JSONB),
            ],
        )
        .await?;
    Ok(Answer { user: User::try_from(&row)? })
}
