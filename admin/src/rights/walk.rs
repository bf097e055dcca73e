//! A walk through a tenant's conversations in pages. It also reads other tenants' conversations, because there is only an
//! index by id.

use crate::database::Database;
use shared::model::Timestamp;
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant, SystemTime};
use tokio_postgres::types::Type;
use uuid::Uuid;

/// The number of conversations that one statement checks.
const PAGE: i64 = 1_000;

/// The interval at which progress is shown.
const PACE: Duration = Duration::from_millis(500);

/// A walk through a tenant's conversations.
pub struct Walk<'a> {
    tenant: Uuid,
    /// Limits the walk to conversations of this user.
    user: Option<&'a str>,
    /// Limits the walk to conversations with activity since this time.
    since: Timestamp,
    position: Uuid,
}

impl<'a> Walk<'a> {
    /// Returns a walk through all conversations, or through those of a user.
    pub fn new(tenant: Uuid, user: Option<&'a str>) -> Self {
        Self { tenant, user, since: SystemTime::UNIX_EPOCH.into(), position: Uuid::nil() }
    }

    /// Limits the walk to conversations with activity since a time.
    pub fn since(self, since: Timestamp) -> Self {
        Self { since, ..self }
    }

    /// Returns the next conversations, possibly none, or `None` at the end.
    pub async fn next(&mut self, database: &Database) -> anyhow::Result<Option<Vec<Uuid>>> {
        let params = [
            (&self.tenant as _, Type::UUID),
            (&self.position as _, Type::UUID),
            (&PAGE as _, Type::INT8),
            (&self.user as _, Type::TEXT),
            (&self.since as _, Type::TIMESTAMPTZ),
        ];
        let row = database.row(include_str!("walk.sql"), &params).await?;
        let Some(last) = row.try_get("last")? else { return Ok(None) };
        self.position = last;
        Ok(Some(row.try_get("found")?))
    }

    /// Returns the progress. Conversations' ids are random, so they are distributed evenly.
    pub fn percent(&self) -> u128 {
        (self.position.as_u128() >> 64) * 100 / u128::from(u64::MAX)
    }
}

/// A line that shows progress on standard error, if that is a terminal.
pub struct Progress {
    terminal: bool,
    shown: Option<Instant>,
}

impl Progress {
    /// Returns a line that is only shown on a terminal.
    pub fn new() -> Self {
        Self { terminal: std::io::stderr().is_terminal(), shown: None }
    }

    /// Shows the progress, at most once per interval.
    pub fn show(&mut self, text: impl FnOnce() -> String) {
        if self.terminal && self.shown.is_none_or(|shown| shown.elapsed() > PACE) {
            self.shown = Some(Instant::now());
            let _closed = write!(std::io::stderr(), "\r\u{1b}[K{}", text());
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.shown.is_some() {
            let _closed = write!(std::io::stderr(), "\r\u{1b}[K");
        }
    }
}
