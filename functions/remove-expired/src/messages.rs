//! Messages that are older than their tenant's retention.

use crate::progress::Progress;
use crate::rest;
use shared::Result;
use shared::db::Db;
use shared::storage::Storage;
use tokio::time::Instant;
use tokio_postgres::types::Type;
use uuid::Uuid;

/// The number of conversations that one statement checks.
const PAGE: i64 = 1_000;

/// The number of conversations that are locked at once, and of their messages that are removed. Sends into these
/// conversations wait meanwhile.
const AT_ONCE: usize = 20;
const BATCH: i32 = 200;

const REMOVE: &str = "select removed, images from tinychat.remove_expired_messages($1, $2)";

/// Checks all conversations until the end, or until the time is up.
pub async fn remove_expired(db: &Db, storage: &Storage, end: Instant) -> Result<()> {
    let Some(mut progress) = Progress::resume(db, "messages").await? else { return Ok(()) };
    let mut removed = 0;
    while Instant::now() < end {
        let start = Instant::now();
        let position: Uuid = progress.position.parse().unwrap_or_default();
        let params = [(&position as _, Type::UUID), (&PAGE as _, Type::INT8)];
        let rows = db.run(include_str!("expired.sql"), &params).await?;
        let row = rows.first();
        let expired: Vec<Uuid> = row.map_or(Ok(Vec::new()), |row| row.try_get("expired"))?;
        let last: Option<Uuid> = row.map_or(Ok(None), |row| row.try_get("last"))?;
        rest(start).await;
        for conversations in expired.chunks(AT_ONCE) {
            // If the time is up, the next run begins at this page again.
            while Instant::now() < end {
                let batch = remove(db, storage, conversations).await?;
                removed += batch;
                if batch < BATCH {
                    break;
                }
            }
        }
        if Instant::now() >= end || !progress.advance(db, last.map(|last| last.to_string())).await? {
            break;
        }
    }
    if removed > 0 {
        tracing::info!(removed, "expired messages were removed");
    }
    Ok(())
}

/// Removes a batch of messages, then their images. If Storage fails, an image stays as one that no message names.
async fn remove(db: &Db, storage: &Storage, conversations: &[Uuid]) -> Result<i32> {
    let start = Instant::now();
    let params = [(&conversations as _, Type::UUID_ARRAY), (&BATCH as _, Type::INT4)];
    let rows = db.run(REMOVE, &params).await?;
    rest(start).await;
    let Some(row) = rows.first() else { return Ok(0) };
    let images: Vec<String> = row.try_get("images")?;
    storage.delete(&images).await?;
    Ok(row.try_get("removed")?)
}
