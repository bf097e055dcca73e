//! GET /v1/config: the settings that a client needs to listen for events.

use serde::Serialize;
use shared::access_token::{Listener, Signer};
use shared::db::Route;
use shared::http::{Request, serve};
use shared::model::{TenantId, Timestamp, UserTokens};
use shared::realtime::{CHANNEL_PREFIX, USER_CHANNEL_PREFIX};
use shared::{Result, config, telemetry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    telemetry::init()?;
    let realtime = Realtime {
        supabase_url: config::supabase_url()?,
        supabase_anon_key: config::supabase_anon_key()?,
        channel_prefix: CHANNEL_PREFIX,
        user_channel_prefix: config::realtime_inbox()?.then_some(USER_CHANNEL_PREFIX),
        private: config::realtime_private()?,
        access: None,
    };
    let signer = Signer::from_env()?;
    let route = Route::connect(include_str!("get-config.sql")).await?;
    serve(|request| get_config(&route, &realtime, signer.as_ref(), request)).await
}

#[derive(Serialize)]
struct Response {
    tenant: Tenant,
    realtime: Realtime,
}

#[derive(Serialize)]
struct Tenant {
    id: TenantId,
    name: String,
}

#[derive(Serialize, Clone)]
struct Realtime {
    supabase_url: String,
    supabase_anon_key: String,
    channel_prefix: &'static str,
    /// Present where users have inbox channels.
    #[serde(skip_serializing_if = "Option::is_none")]
    user_channel_prefix: Option<&'static str>,
    /// Whether clients must join channels as private ones.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    private: bool,
    #[serde(flatten)]
    access: Option<Access>,
}

/// A user's access to private channels.
#[derive(Serialize, Clone)]
struct Access {
    access_token: String,
    expires_at: Timestamp,
}

async fn get_config(
    route: &Route,
    realtime: &Realtime,
    signer: Option<&Signer>,
    request: Request,
) -> Result<Response> {
    let credential = request.credential()?;
    let row = route.row(&credential, &[]).await?;
    let tenant = Tenant { id: row.try_get("tenant_id")?, name: row.try_get("name")? };
    let mut realtime = realtime.clone();
    realtime.private |= row.try_get::<UserTokens>("tokens")? == UserTokens::Required;
    if let (Some(signer), Some(user), Some(expires)) = (signer, row.try_get("caller")?, credential.expires())
    {
        let listener = Listener { tenant: tenant.id, user, staff: row.try_get("staff")? };
        let (access_token, expires_at) = signer.sign(&listener, expires)?;
        realtime.private = true;
        realtime.access = Some(Access { access_token, expires_at });
    }
    Ok(Response { tenant, realtime })
}
