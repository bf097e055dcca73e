//! POST /v1/users: creates a user or updates the stored one.

use serde::Serialize;
use shared::auth::Credential;
use shared::db::Route;
use shared::fields::{Object, ShortText, TextList};
use shared::http::{Request, serve};
use shared::model::{Role, User, UserId};
use shared::{Result, telemetry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    telemetry::init()?;
    let route = Route::connect(include_str!("upsert-user.sql")).await?;
    serve(|request| upsert_user(&route, request)).await
}

struct Input {
    user_id: Option<ShortText>,
    name: Option<ShortText>,
    email: Option<ShortText>,
    role: Option<Role>,
    fcm_tokens: Option<TextList<20, 4_096>>,
    notification_prefs: Option<Object<16_384>>,
}

impl Input {
    fn parse(request: &Request, credential: &Credential) -> Result<Self> {
        let mut body = request.json()?;
        Ok(Self {
            user_id: credential.user(&mut body, "user_id")?,
            name: body.optional_text("name")?,
            email: body.optional_text("email")?,
            role: body.optional("role")?,
            fcm_tokens: body.optional("fcm_tokens")?,
            notification_prefs: body.optional_object("notification_prefs")?,
        })
    }
}

#[derive(Serialize)]
struct Response {
    user: User,
}

async fn upsert_user(route: &Route, request: Request) -> Result<Response> {
    let credential = request.credential()?;
    let input = route.admit(&credential, Input::parse(&request, &credential)).await?;
    let row = route
        .row(
            &credential,
            &[
                ("id", &UserId::new()),
                ("user_id", &input.user_id),
                ("name", &input.name),
                ("email", &input.email),
                ("role", &input.role),
                ("fcm_tokens", &input.fcm_tokens),
                ("notification_prefs", &input.notification_prefs),
            ],
        )
        .await?;
    Ok(Response { user: User::try_from(&row)? })
}
