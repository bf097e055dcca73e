//! A task's progress through a list. It is kept in the database from run to run.

use shared::Result;
use shared::db::Db;
use tokio_postgres::types::Type;

/// Returns the position where task $1 continues. A new pass begins an hour after the last one began, if that is
/// complete. Returns no row until then.
const NEXT: &str = "
    insert into tinychat.progress as p (task, position) values ($1, '')
    on conflict (task) do update set
        position = case when p.position = 'end' then '' else p.position end,
        began_at = case when p.position = 'end' then tinychat.now_ms() else p.began_at end
    where p.position <> 'end' or p.began_at < now() - interval '1 hour'
    returning position";

const MOVE: &str =
    "update tinychat.progress set position = $3 where task = $1 and position = $2 returning position";

/// The position of a complete pass.
const END: &str = "end";

/// A task in progress.
pub struct Progress {
    task: &'static str,
    /// The last item that was checked; empty at the beginning.
    pub position: String,
}

impl Progress {
    /// Continues where the last run stopped. `None` if there is nothing to do yet.
    pub async fn resume(db: &Db, task: &'static str) -> Result<Option<Self>> {
        let rows = db.run(NEXT, &[(&task, Type::TEXT)]).await?;
        rows.first().map(|row| Ok(Self { task, position: row.try_get(0)? })).transpose()
    }

    /// Stores the task's position; `None` means the end. Returns whether to continue: not at the end, and not if
    /// another run has taken over.
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
