//! Every ten minutes: finds tenants that have reached their plan's monthly limit, and those that are below it again.

use lambda_runtime::{LambdaEvent, run, service_fn};
use serde_json::Value;
use shared::db::{Chain, Db};
use shared::model::TenantId;
use shared::{Error, Result, telemetry};

const STATEMENT: &str = include_str!("check-usage.sql");

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    telemetry::init();
    let db = Db::connect().await?;
    // A failure is an error of the invocation: it shows in Lambda's metrics, and the next one makes up for it.
    run(service_fn(|_: LambdaEvent<Value>| async {
        let failed = |error: &Error| tracing::error!(error = %Chain(error), "usage not checked");
        Ok::<_, lambda_runtime::Error>(check_usage(&db).await.inspect_err(failed)?)
    }))
    .await
}

async fn check_usage(db: &Db) -> Result<()> {
    for row in db.run(STATEMENT, &[]).await? {
        let (tenant, status): (TenantId, String) = (row.try_get("id")?, row.try_get("status")?);
        tracing::info!(%tenant, status, "tenant changed by its usage");
    }
    Ok(())
}
