//! Every minute: delivers the webhook events that are due until there are none, gives up events that have waited too
//! long, and purges old ones.

mod figures;
mod lanes;
mod outbox;

use figures::Figures;
use lambda_runtime::{LambdaEvent, run, service_fn};
use lanes::Lanes;
use outbox::{Since, backlog_age, claim, expire, purge};
use serde_json::Value;
use shared::config::{self, SettingError};
use shared::db::{Chain, Db, Route};
use shared::webhook::{self, Attempt, Sender};
use shared::{Result, telemetry};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::time::{Instant, sleep_until};

/// The time before the function's timeout from which no attempt begins: 5 s for attempts in progress, the rest to
/// record them.
const MARGIN: Duration = Duration::from_secs(8);

/// The pause between two looks for due events. The actual pause is at least as long as the last look took, so that a
/// slow database has time for other work.
const PAUSE: Duration = Duration::from_millis(250);

/// The number of consecutive failed looks after which the rest is left to the next run.
const FAILURES: u32 = 3;

/// The time for recording attempts one by one, after recording them together has failed.
const RECORDING: Duration = Duration::from_secs(2);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    telemetry::init()?;
    let days = retention()?;
    let sender = Arc::new(Sender::from_env()?);
    let route = Route::connect(webhook::RECORD).await?;
    run(service_fn(|event: LambdaEvent<Value>| {
        let left = event.context.deadline().duration_since(SystemTime::now()).unwrap_or_default();
        let end = Instant::now() + left.saturating_sub(MARGIN);
        let (route, sender) = (&route, sender.clone());
        async move {
            route.record_use().await;
            Ok::<_, lambda_runtime::Error>(work(&route.db, sender, days, end).await?)
        }
    }))
    .await
}

/// The number of days that events are kept after they were delivered or given up (`WEBHOOK_RETENTION_DAYS`).
fn retention() -> Result<f64, SettingError> {
    const NAME: &str = "WEBHOOK_RETENTION_DAYS";
    let days = config::required(NAME)?.parse().ok();
    let valid = |days: &f64| days.is_finite() && *days >= 0.0;
    days.filter(valid).ok_or(SettingError::new(NAME, "a number of days, 0 or more"))
}

/// Does one task after the other, even if one fails. An error means that the delivery of events had to stop.
async fn work(db: &Db, sender: Arc<Sender>, days: f64, end: Instant) -> Result<()> {
    let mut figures = Figures::default();
    let delivered = deliver(db, Lanes::new(db.clone(), sender), end, &mut figures).await;
    figures.recorded.dead += logged("events were not given up", expire(db, end).await).unwrap_or_default();
    figures.backlog_age = logged("the backlog was not looked at", backlog_age(db).await).unwrap_or_default();
    figures.print();
    logged("events were not purged", purge(db, days, end).await);
    delivered
}

async fn deliver(db: &Db, mut lanes: Lanes, end: Instant, figures: &mut Figures) -> Result<()> {
    let mut since = Since::default();
    let mut next = None;
    let mut failures = 0;
    let mut look = Instant::now();
    let mut rested = look;
    loop {
        let now = Instant::now();
        if look <= now && now < end {
            match claim(db, &lanes, &mut since).await {
                Ok(due) => {
                    failures = 0;
                    figures.overdue_seconds = due.overdue_seconds;
                    next = due.next;
                    lanes.open(due.deliveries, end);
                }
                Err(error) => {
                    tracing::error!(error = %Chain(&error), "no events were claimed");
                    failures += 1;
                    if lanes.is_idle() && failures >= FAILURES {
                        return Err(error);
                    }
                    next = Some(now);
                }
            }
            rested = Instant::now() + now.elapsed();
            look = rested.max(now + PAUSE);
        }
        if lanes.is_idle() {
            if next.is_none_or(|next| next >= end) || look >= end {
                return Ok(());
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
        record(db, &attempts, figures).await;
        if lanes.free() > free {
            look = rested;
        }
    }
}

/// Records attempts together. If that fails, records each by itself, so that one bad attempt doesn't affect the others.
/// An attempt that isn't recorded is repeated when its lease has expired.
async fn record(db: &Db, attempts: &[Attempt], figures: &mut Figures) {
    if let Ok(recorded) = webhook::record(db, attempts).await {
        figures.recorded += recorded;
        return;
    }
    let end = Instant::now() + RECORDING;
    for attempt in attempts.chunks(1).take_while(|_| Instant::now() < end) {
        if let Some(recorded) = logged("an attempt was not recorded", webhook::record(db, attempt).await) {
            figures.recorded += recorded;
        }
    }
}

/// Logs an error. Returns the value if there is one.
fn logged<T>(what: &'static str, result: Result<T>) -> Option<T> {
    result.inspect_err(|error| tracing::error!(error = %Chain(error), "{what}")).ok()
}
