//! Postgres: the connection, the schema in it, and what the functions need there.

use crate::database::Database;
use anyhow::{Context, ensure};
use shared::webhook::Secret;
use tokio_postgres::config::SslMode;
use uuid::Uuid;

pub async fn connection() -> anyhow::Result<String> {
    let (config, _) = shared::db::settings().map_err(|error| anyhow::anyhow!(error))?;
    let tls = match config.get_ssl_mode() {
        SslMode::Disable => "without TLS, for DATABASE_URL says sslmode=disable",
        _ => "TLS, certificate and host name verified",
    };
    let database =
        Database::connect().await.context("look at its host, port and password, and at DATABASE_CA_CERT")?;
    let rows =
        database.rows("select current_setting('server_version') as version, current_user::text", &[]).await?;
    let row = rows.first().context("a statement without a row")?;
    let (version, user): (String, String) = (row.try_get(0)?, row.try_get(1)?);
    Ok(format!("Postgres {version} as {user}, {tls}"))
}

pub async fn schema() -> anyhow::Result<String> {
    let database = Database::connect().await?;
    let missing = admin::missing(&database.client).await.context("run this as the schema's owner")?;
    ensure!(missing.is_empty(), "run `tinychat migrate`: {} missing", missing.join(", "));
    Ok("up to date".to_owned())
}

/// Every endpoint's secrets must be fit to sign with.
pub async fn webhook_secrets() -> anyhow::Result<String> {
    let sql = "select id, array_remove(array[secret, previous_secret], null) as secrets
        from tinychat.webhook_endpoints where disabled_at is null";
    let rows = Database::connect().await?.rows(sql, &[]).await?;
    for row in &rows {
        let (endpoint, secrets): (Uuid, Vec<String>) = (row.try_get("id")?, row.try_get("secrets")?);
        for secret in secrets {
            let parsed: Result<Secret, _> = secret.parse();
            ensure!(
                parsed.is_ok(),
                "give endpoint {endpoint} a new secret: its own is not whsec_ and base64"
            );
        }
    }
    Ok(format!("those of {} endpoints are sound", rows.len()))
}
