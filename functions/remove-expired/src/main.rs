//! Every ten minutes: removes messages that are older than their tenant's retention, with their images; images that no
//! message names; and revocations of users that have lapsed. A run does as much as its time allows, and the next run
//! continues.

mod images;
mod messages;
mod progress;

use lambda_runtime::{LambdaEvent, run, service_fn};
use serde_json::Value;
use shared::db::{Chain, Db};
use shared::storage::Storage;
use shared::{Result, telemetry};
use std::time::{Duration, SystemTime};
use tokio::time::{Instant, sleep};

/// The time before the function's timeout from which no new work begins.
const MARGIN: Duration = Duration::from_secs(15);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    telemetry::init()?;
    let storage = Storage::from_env()?;
    let db = Db::connect().await?;
    run(service_fn(|event: LambdaEvent<Value>| {
        let left = event.context.deadline().duration_since(SystemTime::now()).unwrap_or_default();
        let time = left.saturating_sub(MARGIN);
        let (db, storage) = (&db, &storage);
        async move { Ok::<_, lambda_runtime::Error>(work(db, storage, time).await?) }
    }))
    .await
}

/// Does one task after the other, even if one fails. The messages get half of the time, so that some is left for the
/// images. The last error makes the invocation fail.
async fn work(db: &Db, storage: &Storage, time: Duration) -> Result<()> {
    let start = Instant::now();
    let revocations = db.run("select tinychat.remove_lapsed_revocations()", &[]).await.map(drop);
    let messages = messages::remove_expired(db, storage, start + time / 2).await;
    let images = images::remove_unnamed(db, storage, start + time).await;
    let mut outcome = Ok(());
    for (what, result) in [("revocations", revocations), ("messages", messages), ("images", images)] {
        if let Err(error) = result {
            tracing::error!(error = %Chain(&error), "{what} were not removed");
            outcome = Err(error);
        }
    }
    outcome
}

/// Pauses for as long as the work since `since` took, so that the database and Storage have time for other work.
async fn rest(since: Instant) {
    sleep(since.elapsed()).await;
}
