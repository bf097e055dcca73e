//! Every ten minutes: finds tenants that have reached their plan's monthly limit, and those that are below it again.
//! Also purges counts of credentials that are older than 13 months.

use lambda_runtime::{LambdaEvent, run, service_fn};
use serde_json::Value;
use shared::db::{Chain, Db};
use shared::model::TenantId;
use shared::{Result, telemetry};
use std::time::Duration;
use tokio_postgres::types::Type;

const TENANTS: &str = "
    select id from tinychat.tenants where message_limit is not null and status <> 'suspended' order by id";

const STEP: &str = include_str!("check-usage.sql");

const PURGE: &str = "delete from tinychat.credential_usage where day < now() - interval '13 months'";

/// The timeout of a step.
const LIMIT: Duration = Duration::from_secs(5);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    telemetry::init()?;
    let db = Db::connect().await?;
    // A failure makes the invocation fail, which shows in Lambda's metrics. The next invocation repeats the work.
    run(service_fn(|_: LambdaEvent<Value>| async { Ok::<_, lambda_runtime::Error>(check_all(&db).await?) }))
        .await
}

/// Checks one tenant after the other. If one can't be checked, the others still are.
async fn check_all(db: &Db) -> Result<()> {
    let mut outcome = db.run(PURGE, &[]).await.map(|_| ());
    for row in db.run(TENANTS, &[]).await? {
        let tenant: TenantId = row.try_get("id")?;
        if let Err(error) = check(db, tenant).await {
            tracing::error!(%tenant, error = %Chain(&error), "usage not checked");
            outcome = Err(error);
        }
    }
    outcome
}

async fn check(db: &Db, tenant: TenantId) -> Result<()> {
    loop {
        let rows = db.run_within(LIMIT, STEP, &[(&tenant, Type::UUID)]).await?;
        let Some(row) = rows.first() else { return Ok(()) }; // its limit was lifted meanwhile
        if let Some(status) = row.try_get::<_, Option<String>>("status")? {
            tracing::info!(%tenant, status, "status changed by usage");
        }
        if row.try_get("done")? {
            return Ok(());
        }
    }
}
