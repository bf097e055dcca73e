//! Databases on the cluster that `local` runs. They are migrated, seeded and filled by fill.sql.

use anyhow::Context;
use std::path::Path;
use tokio_postgres::{Client, NoTls, Row};

/// Creates the database `name`, replacing an old one, and fills it with `rows` messages. The database at `url` stays as
/// it is.
pub(crate) async fn make(url: &str, name: &str, rows: u64) -> anyhow::Result<()> {
    drop(url, name).await?;
    let cluster = connect(url).await?;
    cluster.batch_execute(&format!("create database {name}")).await?;
    let mut database = connect(&self::url(url, name)?).await?;
    admin::migrate(&mut database).await?;
    let seed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../supabase/seed.sql");
    database.batch_execute(&std::fs::read_to_string(seed)?).await?;
    let fill = include_str!("fill.sql").replace(":rows", &rows.to_string());
    database.batch_execute(&fill).await?;
    database.batch_execute(include_str!("marks.sql")).await?;
    database.batch_execute("vacuum analyze").await?;
    database.batch_execute("checkpoint").await?;
    Ok(())
}

/// Drops the database `name` if it exists.
pub(crate) async fn drop(url: &str, name: &str) -> anyhow::Result<()> {
    let statement = format!("drop database if exists {name} with (force)");
    connect(url).await?.batch_execute(&statement).await?;
    Ok(())
}

/// Runs SQL in the database at `url`.
pub(crate) async fn run(url: &str, sql: &str) -> anyhow::Result<()> {
    connect(url).await?.batch_execute(sql).await?;
    Ok(())
}

/// Returns the rows of a statement in the database at `url`.
pub(crate) async fn query(url: &str, sql: &str) -> anyhow::Result<Vec<Row>> {
    Ok(connect(url).await?.query_typed(sql, &[]).await?)
}

/// Returns the URL of the database `name` on the cluster of `url`.
pub(crate) fn url(url: &str, name: &str) -> anyhow::Result<String> {
    let (server, query) =
        url.split_once("/postgres?").context("DATABASE_URL must be the one that `local` sets")?;
    Ok(format!("{server}/{name}?{query}"))
}

async fn connect(url: &str) -> anyhow::Result<Client> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}
