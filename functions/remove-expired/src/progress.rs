//! A task's way through something from beginning to end, kept in the database from run to run.

use shared::Result;
use shared::db::Db;
use tokio_postgres::types::Type;

/// Finds where task $1 goes on. A pass that is complete is followed by the next one an hour after it began. No row: not yet.
const NEXT: &str = "
    insert into tinychat.progress as p (task, position) values ($1, '')
    on conflict (task) do update set
        position = case when p.position = 'end' then '' else p.position end,
        began_at = case when p.position = 'end' then tinychat.now_ms() else p.began_at end
    where p.position <> 'end' or p.began_at < now() - interval '1 hour'
    returning position";

const MOVE: &str =
    "update tinychat.progress set position = $3 where task = $1 and position = $2 returning position";

/// The position of what has been looked through.
const END: &str = "end";

/// A task that is under way.
pub struct Progress {
    task: &'static str,
    /// The last thing that was looked at; empty at the beginning.
    pub position: String,
}

impl Progress {
    /// Goes on where the last run has stopped. None if there is nothing to do yet.
    pub async fn resume(db: &Db, task: &'static str) -> Result<Option<Self>> {
        let rows = db.run(NEXT, &[(&task, Type::TEXT)]).await?;
        rows.first().map(|row| Ok(Self { task, position: row.try_get(0)? })).transpose()
    }

    /// Notes how far the task has come; none for the end. Returns whether to go on: not if that was the end, or if another
    /// run has taken over.
    pub async fn advance(&mut self, db: &Db, position: Option<String>) -> Result<bool> {
        let next = position.as_deref().unwrap_or(END);
        let params =
            [(&self.task as _, Type::TEXT), (&self.position as _, Type::TEXT), (&next as _, Type::TEXT)];
        let moved = !db.run(MOVE, &params).await?.is_empty();
        let ended = position.is_none();
        self.position = position.unwrap_or_default();
        Ok(moved && !ended)
    }
}
