//! Indexes of large tables. They are built concurrently: that blocks no other statement, but can't be part of a
//! transaction.

use anyhow::Context;
use shared::db::Value;
use std::time::Duration;
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

/// The interval at which an index that another run is building is checked.
const PAUSE: Duration = Duration::from_secs(1);

/// An index, defined by a migration that is a single statement.
pub(crate) struct Index {
    name: String,
    sql: String,
}

/// The state of an index.
enum State {
    Absent,
    /// Another run is building it.
    InProgress,
    /// An interrupted run has left it incomplete.
    Invalid,
    Valid,
}

impl Index {
    /// Parses a migration. Returns `None` unless it is a single statement that creates an index.
    pub(crate) fn parse(migration: &str) -> Option<Self> {
        let code: Vec<_> = migration.lines().filter(|line| !line.starts_with("--")).collect();
        let rest = code.join("\n").trim().strip_prefix("create index if not exists ")?.to_owned();
        let (name, _) = rest.split_once(' ')?;
        let single = rest.trim_end_matches(';').find(';').is_none();
        single.then(|| Self {
            name: format!("tinychat.{name}"),
            sql: format!("create index concurrently if not exists {rest}"),
        })
    }

    /// Whether the index is complete.
    pub(crate) async fn is_valid(&self, client: &impl tokio_postgres::GenericClient) -> anyhow::Result<bool> {
        Ok(matches!(self.state(client).await?, State::Valid))
    }

    /// Builds the index. If another run is already building it, waits for that run.
    pub(crate) async fn build(&self, client: &Client) -> anyhow::Result<()> {
        loop {
            let done = match self.state(client).await? {
                State::Valid => return Ok(()),
                State::InProgress => {
                    tokio::time::sleep(PAUSE).await;
                    Ok(())
                }
                State::Invalid => {
                    client.batch_execute(&format!("drop index concurrently if exists {}", self.name)).await
                }
                State::Absent => client.batch_execute(&self.sql).await,
            };
            match done {
                Err(error) if met_another_run(&error) => tokio::time::sleep(PAUSE).await,
                done => done.with_context(|| self.name.clone())?,
            }
        }
    }

    async fn state(&self, client: &impl tokio_postgres::GenericClient) -> anyhow::Result<State> {
        let rows = client.query_typed(include_str!("index-state.sql"), &[self.name.param()]).await?;
        let Some(row) = rows.first() else { return Ok(State::Absent) };
        Ok(match (row.try_get("valid")?, row.try_get("in_progress")?) {
            (true, _) => State::Valid,
            (false, true) => State::InProgress,
            (false, false) => State::Invalid,
        })
    }
}

/// Whether a concurrent run caused the error. "tuple concurrently updated" is an internal error.
fn met_another_run(error: &tokio_postgres::Error) -> bool {
    [SqlState::UNIQUE_VIOLATION, SqlState::T_R_DEADLOCK_DETECTED, SqlState::INTERNAL_ERROR]
        .iter()
        .any(|code| error.code() == Some(code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_migration_of_a_single_index_is_built_concurrently() {
        let index = Index::parse("-- Why.\ncreate index if not exists a_b on tinychat.a (b)\n    where c;\n")
            .unwrap();
        assert_eq!(index.name, "tinychat.a_b");
        assert_eq!(index.sql, "create index concurrently if not exists a_b on tinychat.a (b)\n    where c;");
    }

    #[test]
    fn other_migrations_are_not_indexes() {
        for sql in [
            "create table a (b int);",
            "create index on a (b);",
            "create index if not exists a_b on a (b);\ncreate index if not exists a_c on a (c);",
        ] {
            assert!(Index::parse(sql).is_none(), "{sql}");
        }
    }
}
