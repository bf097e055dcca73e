//! Every minute: delivers the webhook events that are due, as long as there are any, and purges old ones.

mod figures;
mod lanes;
mod outbox;

use figures::Figures;
use lambda_runtime::{LambdaEvent, run, service_fn};
use lanes::Lanes;
use outbox::{Due, claim, purge};
use serde_json::Value;
use shared::db::{Chain, Db};
use shared::webhook::{self, Sender};
use shared::{Error, Result, config, telemetry};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::time::{Instant, sleep_until};

/// How long before the function's timeout no more attempts begin: 5 s for those under way, the rest to record them.
const MARGIN: Duration = Duration::from_secs(8);

/// How long to wait until looking again for what is due.
const PAUSE: Duration = Duration::from_millis(250);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    telemetry::init();
    let days: f64 = config::required("WEBHOOK_RETENTION_DAYS")?
        .parse()
        .map_err(|_| "mend WEBHOOK_RETENTION_DAYS: it is a number of days")?;
    let sender = Arc::new(Sender::from_env()?);
    let db = Db::connect().await?;
    run(service_fn(|event: LambdaEvent<Value>| {
        let left = event.context.deadline().duration_since(SystemTime::now()).unwrap_or_default();
        let end = Instant::now() + left.saturating_sub(MARGIN);
        let (db, sender) = (&db, sender.clone());
        async move {
            let work = async {
                purge(db, days, end).await?;
                deliver(db, Lanes::new(sender), end).await
            };
            let failed = |error: &Error| tracing::error!(error = %Chain(error), "webhooks failed");
            Ok::<_, lambda_runtime::Error>(work.await.inspect_err(failed)?)
        }
    }))
    .await
}

async fn deliver(db: &Db, mut lanes: Lanes, end: Instant) -> Result<()> {
    let mut figures = Figures::default();
    let mut due = Due::default();
    let mut look = Instant::now();
    loop {
        let now = Instant::now();
        if look <= now && now < end {
            due = claim(db, &lanes).await?;
            figures.oldest_due_seconds = due.oldest_seconds;
            lanes.open(std::mem::take(&mut due.deliveries), end);
            look = now + PAUSE;
        }
        if lanes.is_idle() {
            if due.next.is_none_or(|next| next >= end) || look >= end {
                break;
            }
            sleep_until(look).await;
            continue;
        }
        let free = lanes.free();
        let attempts = lanes.outcomes(PAUSE).await;
        if attempts.is_empty() {
            continue;
        }
        figures.count(&attempts);
        figures.dead += webhook::record(db, &attempts).await?;
        if lanes.free() > free {
            look = Instant::now();
        }
    }
    figures.print();
    Ok(())
}
