//! The connection to Postgres: found and trusted as the functions do it.

use anyhow::{Context, anyhow};
use shared::db::{self, Param};
use tokio_postgres::{Client, Row};

/// An open connection.
pub struct Database {
    /// For what needs more than a statement.
    pub client: Client,
}

impl Database {
    /// Connects to `DATABASE_URL`.
    pub async fn connect() -> anyhow::Result<Self> {
        let (config, tls) = db::settings().map_err(|error| anyhow!(error))?;
        let (client, connection) = config.connect(tls).await.context("DATABASE_URL can't be reached")?;
        tokio::spawn(connection);
        Ok(Self { client })
    }

    /// Runs a statement. Its parameters come with their types, so that nothing is prepared and a pooler in transaction
    /// mode will do.
    pub async fn rows(&self, sql: &str, params: &[Param<'_>]) -> anyhow::Result<Vec<Row>> {
        Ok(self.client.query_typed(sql, params).await?)
    }
}
