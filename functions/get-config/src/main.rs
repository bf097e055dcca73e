//! GET /v1/config: what a client needs to start listening.

use serde::Serialize;
use shared::db::Route;
use shared::http::{Request, serve};
use shared::model::TenantId;
use shared::realtime::CHANNEL_PREFIX;
use shared::{Result, config, telemetry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    telemetry::init();
    let realtime = Realtime {
        supabase_url: config::supabase_url()?,
        supabase_anon_key: config::supabase_anon_key()?,
        channel_prefix: CHANNEL_PREFIX,
        private: config::realtime_private()?,
    };
    let route = Route::connect(include_str!("get-config.sql")).await?;
    serve(|request| get_config(&route, &realtime, request)).await
}

#[derive(Serialize)]
struct Answer<'a> {
    tenant: Tenant,
    realtime: &'a Realtime,
}

#[derive(Serialize)]
struct Tenant {
    id: TenantId,
    name: String,
}

#[derive(Serialize)]
struct Realtime {
    supabase_url: String,
    supabase_anon_key: String,
    channel_prefix: &'static str,
    /// Whether clients must join channels as private ones.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    private: bool,
}

async fn get_config<'a>(route: &Route, realtime: &'a Realtime, request: Request) -> Result<Answer<'a>> {
    let row = route.row(&request.credential()?, &[]).await?;
    let tenant = Tenant { id: row.try_get("tenant_id")?, name: row.try_get("name")? };
    Ok(Answer { tenant, realtime })
}
