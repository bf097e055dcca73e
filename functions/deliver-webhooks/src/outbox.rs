//! The outbox: what is due in it, and what is too old.

use crate::lanes::{LANES_PER_TENANT, Lanes};
use shared::Result;
use shared::db::{Db, Param};
use shared::webhook::Delivery;
use std::time::Duration;
use tokio::time::Instant;
use tokio_postgres::types::{Json, Type};

const CLAIM: &str = include_str!("claim.sql");
const PURGE: &str = include_str!("purge.sql");

/// How many events are purged at once.
const PURGE_BATCH: i64 = 5_000;

/// What a look at the outbox has found.
#[derive(Default)]
pub struct Due {
    /// Leased to this process.
    pub deliveries: Vec<Delivery>,
    /// For how long the first of all that is due has been so.
    pub oldest_seconds: f64,
    /// When there will be more, if no more come.
    pub next: Option<Instant>,
}

/// Leases what is due at endpoints that have no lane yet.
pub async fn claim(db: &Db, lanes: &Lanes) -> Result<Due> {
    let free = i64::try_from(lanes.free()).unwrap_or_default();
    let rows = db
        .run(
            CLAIM,
            &[
                (&lanes.endpoints(), Type::UUID_ARRAY),
                (&lanes.tenants(), Type::UUID_ARRAY),
                (&free, Type::INT8),
                (&LANES_PER_TENANT, Type::INT4),
            ],
        )
        .await?;
    let mut due = Due::default();
    for row in rows {
        due.oldest_seconds = row.try_get("oldest_seconds")?;
        let next: Option<f64> = row.try_get("next_seconds")?;
        due.next = next.map(|seconds| Instant::now() + Duration::from_secs_f64(seconds));
        let delivery: Option<Json<Delivery>> = row.try_get("delivery")?;
        due.deliveries.extend(delivery.map(|Json(delivery)| delivery));
    }
    Ok(due)
}

/// Deletes what was settled so many days ago.
pub async fn purge(db: &Db, days: f64, end: Instant) -> Result<()> {
    let params: &[Param<'_>] = &[(&days, Type::FLOAT8), (&PURGE_BATCH, Type::INT8)];
    while Instant::now() < end {
        let rows = db.run(PURGE, params).await?;
        let purged: i64 = rows.first().map_or(Ok(0), |row| row.try_get(0))?;
        if purged < PURGE_BATCH {
            break;
        }
    }
    Ok(())
}
