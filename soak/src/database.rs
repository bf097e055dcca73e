//! A connection to the local cloud's Postgres.

use std::env;
use tokio_postgres::{Client, NoTls};

/// Opens a new connection. An older one may have ended, because the run restarts Postgres.
pub async fn connect() -> anyhow::Result<Client> {
    let (client, connection) = tokio_postgres::connect(&env::var("DATABASE_URL")?, NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}
