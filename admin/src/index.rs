//! Indexes of large tables: built concurrently, which locks nobody out but can't be a part of a transaction.

use anyhow::Context;
use shared::db::Value;
use std::time::Duration;
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

/// The pause between two looks at an index that another run is building.
const PAUSE: Duration = Duration::from_secs(1);

/// An index as its migration, a single statement, defines it.
pub(crate) struct Index {
    name: String,
    sql: String,
}

/// How far an index is.
enum State {
    Absent,
    /// Another run is at it.
    InProgress,
    /// A run that was interrupted has left it.
    Invalid,
    Valid,
}

impl Index {
    /// Reads a migration. None if it does more, or other things, than to create an index.
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

    /// Whether it is there, for good.
    pub(crate) async fn is_valid(&self, client: &impl tokio_postgres::GenericClient) -> anyhow::Result<bool> {
        Ok(matches!(self.state(client).await?, State::Valid))
    }

    /// Builds it, unless another run does, whose end is then awaited.
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
        let query = "select i.indisvalid, p.pid is not null
            from pg_index i left join pg_stat_progress_create_index p on p.index_relid = i.indexrelid
            where i.indexrelid = to_regclass($1)";
        let rows = client.query_typed(query, &[self.name.param()]).await?;
        let Some(row) = rows.first() else { return Ok(State::Absent) };
        Ok(match (row.try_get(0)?, row.try_get(1)?) {
            (true, _) => State::Valid,
            (false, true) => State::InProgress,
            (false, false) => State::Invalid,
        })
    }
}

/// Whether two runs that began at once got in each other's way. "tuple concurrently updated" is an internal error.
fn met_another_run(error: &tokio_postgres::Error) -> bool {
    [SqlState::UNIQUE_VIOLATION, SqlState::T_R_DEADLOCK_DETECTED, SqlState::INTERNAL_ERROR]
        .iter()
        .any(|code| error.code() == Some(code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_migration_that_is_one_index_is_built_concurrently() {
        let index = Index::parse("-- Why.\ncreate index if not exists a_b on tinychat.a (b)\n    where c;\n")
            .unwrap();
        assert_eq!(index.name, "tinychat.a_b");
        assert_eq!(index.sql, "create index concurrently if not exists a_b on tinychat.a (b)\n    where c;");
    }

    #[test]
    fn others_are_run_as_they_are() {
        for sql in [
            "create table a (b int);",
            "create index on a (b);",
            "create index if not exists a_b on a (b);\ncreate index if not exists a_c on a (c);",
        ] {
            assert!(Index::parse(sql).is_none(), "{sql}");
        }
    }
}
