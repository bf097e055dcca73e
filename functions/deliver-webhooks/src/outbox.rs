//! The outbox: the events that are due, and those that are too old.

use crate::lanes::{LANES_PER_TENANT, Lanes};
use shared::Result;
use shared::db::{Db, Param};
use shared::webhook::Delivery;
use std::time::{Duration, SystemTime};
use tokio::time::Instant;
use tokio_postgres::types::{Json, Type};
use uuid::Uuid;

/// The number of events that one statement gives up or purges.
const BATCH: i64 = 5_000;

/// The times from which a look at the outbox begins. A run's first look begins at the oldest event everywhere.
pub struct Since {
    waiting: Vec<Uuid>,
    there: Vec<SystemTime>,
    elsewhere: SystemTime,
}

/// The result of a look at the outbox.
pub struct Due {
    /// The deliveries that are leased to this process.
    pub deliveries: Vec<Delivery>,
    /// The seconds since the first due event became due.
    pub overdue_seconds: f64,
    /// The time when the next event is due, if no new ones are written.
    pub next: Option<Instant>,
}

impl Default for Since {
    fn default() -> Self {
        Self { waiting: Vec::new(), there: Vec::new(), elsewhere: SystemTime::UNIX_EPOCH }
    }
}

/// Leases the due events of endpoints that have no lane yet, and moves `since` forward.
pub async fn claim(db: &Db, lanes: &Lanes, since: &mut Since) -> Result<Due> {
    let params: &[Param<'_>] = &[
        (&lanes.endpoints(), Type::UUID_ARRAY),
        (&lanes.tenants(), Type::UUID_ARRAY),
        (&i64::try_from(lanes.free()).unwrap_or_default(), Type::INT8),
        (&LANES_PER_TENANT, Type::INT4),
        (&i64::try_from(lanes.free_bytes()).unwrap_or_default(), Type::INT8),
        (&since.waiting, Type::UUID_ARRAY),
        (&since.there, Type::TIMESTAMPTZ_ARRAY),
        (&since.elsewhere, Type::TIMESTAMPTZ),
    ];
    let rows = db.run(include_str!("claim.sql"), params).await?;
    let mut due = Due { deliveries: Vec::new(), overdue_seconds: 0.0, next: None };
    if let Some(row) = rows.first() {
        due.overdue_seconds = row.try_get("overdue_seconds")?;
        let next: Option<f64> = row.try_get("next_seconds")?;
        due.next = next.map(|seconds| Instant::now() + Duration::from_secs_f64(seconds));
        *since = Since {
            waiting: row.try_get::<_, Option<_>>("waiting")?.unwrap_or_default(),
            there: row.try_get::<_, Option<_>>("since")?.unwrap_or_default(),
            elsewhere: row.try_get("since_elsewhere")?,
        };
    }
    for row in rows {
        let delivery: Option<Json<Delivery>> = row.try_get("delivery")?;
        due.deliveries.extend(delivery.map(|Json(delivery)| delivery));
    }
    Ok(due)
}

/// Gives up events that have waited for three days. Returns their number.
pub async fn expire(db: &Db, end: Instant) -> Result<i64> {
    in_batches(db, include_str!("expire.sql"), &[(&BATCH, Type::INT8)], end).await
}

/// Deletes events that were delivered or given up more than this many days ago. Returns their number.
pub async fn purge(db: &Db, days: f64, end: Instant) -> Result<i64> {
    in_batches(db, include_str!("purge.sql"), &[(&days, Type::FLOAT8), (&BATCH, Type::INT8)], end).await
}

/// Returns the age of the oldest waiting event, in seconds.
pub async fn backlog_age(db: &Db) -> Result<f64> {
    let rows = db.run(include_str!("backlog.sql"), &[]).await?;
    rows.first().map_or(Ok(0.0), |row| Ok(row.try_get(0)?))
}

/// Runs a statement that returns the number of events it has changed, until that is less than a batch or the time is
/// up.
async fn in_batches(db: &Db, sql: &str, params: &[Param<'_>], end: Instant) -> Result<i64> {
    let mut all = 0;
    loop {
        let rows = db.run(sql, params).await?;
        let batch: i64 = rows.first().map_or(Ok(0), |row| row.try_get(0))?;
        all += batch;
        if batch < BATCH || Instant::now() >= end {
            return Ok(all);
        }
    }
}
