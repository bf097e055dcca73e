//! Exports, as JSON lines on standard output: users, and conversations, each followed by its messages. `tinychat
//! import` reads them.

use super::walk::{Progress, Walk};
use crate::database::Database;
use crate::output::{Failure, harmless_json};
use anyhow::Context;
use futures_util::{TryStreamExt, pin_mut};
use shared::db::Param;
use std::io::{BufWriter, ErrorKind, StdoutLock, Write};
use tokio_postgres::types::Type;
use uuid::Uuid;

/// The number of conversations that one statement exports. It exports a consistent state of them.
const AT_ONCE: usize = 50;

/// Exports all data of a tenant.
pub async fn tenant(database: &Database, tenant: Uuid) -> anyhow::Result<()> {
    database.require_tenant(&tenant).await?;
    finish(all(database, tenant, None, &mut Lines::new()).await)
}

/// Exports a user's profile, conversations and own messages.
pub async fn user(database: &Database, tenant: Uuid, user: &str) -> anyhow::Result<()> {
    database.require_tenant(&tenant).await?;
    let mut lines = Lines::new();
    finish(all(database, tenant, Some(user), &mut lines).await)?;
    if lines.count == 0 { Err(Failure::NoSuch("user").into()) } else { Ok(()) }
}

/// Exports a conversation and all its messages.
pub async fn conversation(database: &Database, tenant: Uuid, conversation: Uuid) -> anyhow::Result<()> {
    database.require_tenant(&tenant).await?;
    let mut lines = Lines::new();
    finish(conversations(database, tenant, &[conversation], None, &mut lines).await)?;
    if lines.count == 0 { Err(Failure::NoSuch("conversation").into()) } else { Ok(()) }
}

async fn all(database: &Database, tenant: Uuid, user: Option<&str>, lines: &mut Lines) -> anyhow::Result<()> {
    let params: [Param; 2] = [(&tenant, Type::UUID), (&user, Type::TEXT)];
    lines.print(database, include_str!("export-users.sql"), &params).await?;
    let mut progress = Progress::new();
    let mut walk = Walk::new(tenant, user);
    while let Some(found) = walk.next(database).await? {
        for some in found.chunks(AT_ONCE) {
            conversations(database, tenant, some, user, lines).await?;
        }
        progress.show(|| format!("{} % of the conversations", walk.percent()));
    }
    lines.flush()
}

async fn conversations(
    database: &Database,
    tenant: Uuid,
    conversations: &[Uuid],
    user: Option<&str>,
    lines: &mut Lines,
) -> anyhow::Result<()> {
    let params: [Param; 3] = [(&tenant, Type::UUID), (&conversations, Type::UUID_ARRAY), (&user, Type::TEXT)];
    lines.print(database, include_str!("export-conversations.sql"), &params).await?;
    lines.flush()
}

/// Standard output, with the number of lines written.
struct Lines {
    output: BufWriter<StdoutLock<'static>>,
    count: u64,
}

impl Lines {
    fn new() -> Self {
        Self { output: BufWriter::new(std::io::stdout().lock()), count: 0 }
    }

    /// Prints a statement's lines as they come.
    async fn print(&mut self, database: &Database, sql: &str, params: &[Param<'_>]) -> anyhow::Result<()> {
        let params = params.iter().map(|(value, kind)| (*value, kind.clone()));
        let rows = database.client.query_typed_raw(sql, params).await?;
        pin_mut!(rows);
        while let Some(row) = rows.try_next().await? {
            writeln!(self.output, "{}", harmless_json(row.try_get("line")?))?;
            self.count += 1;
        }
        Ok(())
    }

    fn flush(&mut self) -> anyhow::Result<()> {
        self.output.flush().context("standard output")
    }
}

/// Ignores the error of a reader that stops early (`tinychat … | head`).
fn finish(done: anyhow::Result<()>) -> anyhow::Result<()> {
    match done {
        Err(error) if is_broken_pipe(&error) => Ok(()),
        done => done,
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == ErrorKind::BrokenPipe)
}
