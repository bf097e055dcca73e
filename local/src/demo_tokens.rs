//! User tokens for the demo. In production, a tenant's own backend signs them for users that it has authenticated. The local
//! cloud signs them for any user.

use crate::postgres;
use admin::secret::new_secret;
use admin::user_token::{pads, sign};
use axum::Router;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::routing::get;
use serde::Deserialize;
use std::sync::Arc;
use uuid::{Uuid, uuid};

const KID: Uuid = uuid!("eeeeeeee-0000-4000-8000-000000000002");

/// The lifetime of a token, in seconds.
const LIFE: u64 = 15 * 60;

#[derive(Deserialize)]
struct Claims {
    user_id: String,
    role: Option<String>,
}

/// Creates the key and returns the route that signs with it.
pub(crate) async fn router<S>(database_url: &str) -> anyhow::Result<Router<S>> {
    let secret: Arc<str> = new_secret().into();
    let [inner, outer] = pads(&secret);
    postgres::connect(database_url)
        .await?
        .execute(include_str!("demo-tokens.sql"), &[&KID, &inner, &outer])
        .await?;
    Ok(Router::new().route("/demo/token", get(token)).with_state(secret))
}

async fn token(State(secret): State<Arc<str>>, Query(claims): Query<Claims>) -> Result<String, StatusCode> {
    sign(KID, &secret, &claims.user_id, claims.role.as_deref(), LIFE)
        .map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)
}
