//! The connection to Postgres, with the same settings as the functions.

use crate::output::Failure;
use anyhow::{Context, anyhow};
use shared::db::{self, Param};
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Row};
use uuid::Uuid;

/// An open connection.
pub struct Database {
    /// The client, for work that needs more than one statement.
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

    /// Runs a statement. Its parameters have types, so that nothing is prepared and a pooler in transaction mode works.
    pub async fn rows(&self, sql: &str, params: &[Param<'_>]) -> anyhow::Result<Vec<Row>> {
        Ok(self.client.query_typed(sql, params).await?)
    }

    /// Runs a statement that always returns a row, and returns the first one.
    pub async fn row(&self, sql: &str, params: &[Param<'_>]) -> anyhow::Result<Row> {
        self.rows(sql, params).await?.into_iter().next().context("a statement returned no row")
    }

    /// Runs a statement and returns the first row. Fails with "no such …" if there is none.
    pub async fn found(&self, sql: &str, params: &[Param<'_>], thing: &'static str) -> anyhow::Result<Row> {
        let rows = self.rows(sql, params).await?;
        rows.into_iter().next().ok_or_else(|| Failure::NoSuch(thing).into())
    }

    /// Fails unless the tenant exists, because an empty list would look like a result about an existing one.
    pub async fn require_tenant(&self, tenant: &Uuid) -> anyhow::Result<()> {
        let sql = "select from tinychat.tenants where id = $1";
        self.found(sql, &[(tenant, Type::UUID)], "tenant").await.map(|_| ())
    }
}

/// Parses an id among the arguments.
pub fn id(text: &str) -> Result<Uuid, &'static str> {
    text.parse().map_err(|_| "an id looks like 11111111-2222-4333-8444-555555555555")
}
