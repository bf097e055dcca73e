//! Images that no message names: uploads that were never sent, and images that couldn't be deleted because Storage
//! failed.

use crate::progress::Progress;
use crate::rest;
use shared::Result;
use shared::db::Db;
use shared::storage::{File, Storage};
use std::time::{Duration, SystemTime};
use tokio::time::Instant;
use tokio_postgres::types::Type;

/// The number of files that are checked at once.
const PAGE: i32 = 500;

/// The time in which a message must name an upload.
const MIN_AGE: Duration = Duration::from_hours(24);

/// Checks the files of the bucket until its end, or until the time is up.
pub async fn remove_unnamed(db: &Db, storage: &Storage, end: Instant) -> Result<()> {
    let Some(mut progress) = Progress::resume(db, "images").await? else { return Ok(()) };
    let mut removed = 0;
    while Instant::now() < end {
        let start = Instant::now();
        let files = storage.list(&progress.position, PAGE).await?;
        let last = files.last().map(|file| file.path.clone());
        let old: Vec<String> = files.into_iter().filter(is_old_upload).map(|file| file.path).collect();
        let rows = db.run(include_str!("unnamed.sql"), &[(&old, Type::TEXT_ARRAY)]).await?;
        let unnamed = rows.iter().map(|row| row.try_get("path")).collect::<Result<Vec<String>, _>>()?;
        storage.delete(&unnamed).await?;
        removed += unnamed.len();
        rest(start).await;
        if !progress.advance(db, last).await? {
            break;
        }
    }
    if removed > 0 {
        tracing::info!(removed, "images that no message names were removed");
    }
    Ok(())
}

fn is_old_upload(file: &File) -> bool {
    file.is_upload() && SystemTime::now().duration_since(file.stored_at).is_ok_and(|age| age > MIN_AGE)
}
