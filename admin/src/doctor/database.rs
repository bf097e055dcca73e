//! Checks of Postgres: the connection, the schema, and everything that the functions need there.

use super::Fault;
use super::network::Target;
use crate::database::Database;
use crate::role::{Role, roles};
use shared::db::{self, Chain};
use shared::webhook::Secret;
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::error::{DbError, SqlState};
use tokio_postgres::{Config, Row};
use tokio_postgres_rustls::MakeRustlsConnect;
use uuid::Uuid;

const URL: &str = "DATABASE_URL";
const NAMED: &str = "DATABASE_NAMED_STATEMENTS";

/// The domain of Supabase's poolers, where a user's name ends with the project's id.
const POOLER: &str = ".pooler.supabase.com";

pub async fn connection() -> Result<(String, Database), Fault> {
    let (config, connector) =
        db::settings().map_err(|error| Fault::new(URL, error.to_string(), "Correct it"))?;
    let tls = match config.get_ssl_mode() {
        SslMode::Disable => "without TLS, because DATABASE_URL has sslmode=disable",
        _ => "with TLS, certificate and host name verified",
    };
    let target = target(&config);
    target.resolve().await?;
    let connected = target.within(config.connect(connector)).await?;
    let (client, connection) = connected.map_err(|error| match error.as_db_error() {
        Some(refusal) => refused(&config, refusal),
        None if Chain(&error).to_string().contains("server does not support TLS") => {
            let step = "If the server is on this machine or in a private network, add ?sslmode=disable";
            Fault::new(URL, format!("points to {}, which doesn't support TLS", target.host), step)
        }
        None => target.blame(&error),
    })?;
    tokio::spawn(connection);
    let database = Database { client };
    let sql = "select current_setting('server_version') as version, current_user::text";
    let rows = database.client.query_typed(sql, &[]).await.map_err(|error| broken(&error))?;
    let text =
        |column| rows.first().and_then(|row: &Row| row.try_get::<_, String>(column).ok()).unwrap_or_default();
    Ok((format!("Postgres {} as {}, {tls}", text(0), text(1)), database))
}

/// Returns the first host of the address, for messages.
fn target(config: &Config) -> Target {
    let host = match config.get_hosts().first() {
        Some(Host::Tcp(host)) => host.clone(),
        _ => "localhost".to_owned(),
    };
    let port = config.get_ports().first().copied().unwrap_or(5432);
    Target { setting: URL, authority: "DATABASE_CA_CERT", host, port }
}

/// Returns the fault if Postgres, or a pooler in front of it, refuses this user.
fn refused(config: &Config, refusal: &DbError) -> Fault {
    let user = config.get_user().unwrap_or_default();
    let is_pooler =
        config.get_hosts().iter().any(|host| matches!(host, Host::Tcp(host) if host.ends_with(POOLER)));
    let code = refusal.code();
    if *code == SqlState::INVALID_PASSWORD {
        let seen = format!("has a user or password that Postgres refuses: the user is {user}");
        return Fault::new(URL, seen, "Correct the password, percent-encoded");
    }
    if *code == SqlState::INVALID_AUTHORIZATION_SPECIFICATION || *code == SqlState::INTERNAL_ERROR {
        let step = if is_pooler {
            "Correct the user, which ends with a dot and the project's ref"
        } else {
            "Correct the user"
        };
        return Fault::new(URL, format!("has a user that Postgres refuses: {}", refusal.message()), step);
    }
    if *code == SqlState::INVALID_CATALOG_NAME {
        return Fault::new(
            URL,
            format!("names a database that Postgres refuses: {}", refusal.message()),
            "Correct the database's name, which follows the port",
        );
    }
    if *code == SqlState::TOO_MANY_CONNECTIONS {
        let step = "Use the transaction-mode pooler, port 6543, or lower ReservedConcurrency";
        return Fault::new(
            URL,
            format!("is correct, but Postgres has too many connections: {}", refusal.message()),
            step,
        );
    }
    Fault::new(URL, format!("is refused by Postgres: {}: {}", code.code(), refusal.message()), "Correct it")
}

fn broken(error: &tokio_postgres::Error) -> Fault {
    Fault::new(URL, format!("points to a Postgres that fails: {}", Chain(error)), "Check its log")
}

pub async fn schema(database: &Database) -> Result<(String, ()), Fault> {
    let missing = admin::missing(&database.client).await.map_err(|error| {
        let step = "Run this command with the DATABASE_URL of the schema's owner";
        Fault::new(URL, format!("has a user without access to the schema: {}", Chain(&*error)), step)
    })?;
    if missing.is_empty() {
        return Ok(("up to date".to_owned(), ()));
    }
    let seen = format!("points to a database that lacks {}", missing.join(", "));
    Err(Fault::new(URL, seen, "Run `tinychat migrate`"))
}

/// Checks that a role can log in with the functions' rights, and that all such roles have the group's settings.
pub async fn functions_role(database: &Database) -> Result<(String, ()), Fault> {
    let fault = |seen: String| Fault::new(URL, seen, "Create another role: `tinychat role create`");
    let (group, members) =
        roles(database).await.map_err(|error| fault(format!("points to a database where {error:#}")))?;
    let is_stale = |role: &&Role| !group.settings.iter().all(|setting| role.settings.contains(setting));
    if let Some(Role { name, .. }) = members.iter().find(is_stale) {
        let seen = format!("points to a database where {name} lacks settings of {}", group.name);
        return Err(fault(seen));
    }
    let roles = [&group].into_iter().chain(&members).filter(|role| role.may_log_in);
    let names: Vec<_> = roles.map(|role| role.name.as_str()).collect();
    if names.is_empty() {
        return Err(fault("points to a database where no role of the functions can log in".to_owned()));
    }
    Ok((format!("{} can log in", names.join(", ")), ()))
}

/// Checks that the pooler keeps named statements.
pub async fn named_statements() -> Result<(String, ()), Fault> {
    let (config, tls) = db::settings().map_err(|error| Fault::new(URL, error.to_string(), "Correct it"))?;
    use_named_statement(&config, &tls).await.map_err(|error| {
        let seen = format!("is `true`, but the pooler doesn't keep named statements: {}", Chain(&error));
        Fault::new(NAMED, seen, "Set it to `false`, or turn named statements on in the pooler")
    })?;
    Ok(("the pooler keeps them".to_owned(), ()))
}

/// Names a statement, and executes it while other connections have the backend that it was prepared on.
pub async fn use_named_statement(
    config: &Config,
    tls: &MakeRustlsConnect,
) -> Result<(), tokio_postgres::Error> {
    let connect = async || {
        let (client, connection) = config.connect(tls.clone()).await?;
        tokio::spawn(connection);
        Ok(client)
    };
    let client = connect().await?;
    let statement = client.prepare_typed("select 1", &[]).await?;
    let (first, second) = (connect().await?, connect().await?);
    first.batch_execute("begin").await?;
    second.batch_execute("begin").await?;
    client.query(&statement, &[]).await?;
    Ok(())
}

/// Checks that every endpoint's secrets can be used to sign.
pub async fn webhook_secrets(database: &Database) -> Result<(String, ()), Fault> {
    let sql = include_str!("webhook-secrets.sql");
    let rows = database.client.query_typed(sql, &[]).await.map_err(|error| broken(&error))?;
    for row in &rows {
        let fields = || Ok((row.try_get("id")?, row.try_get("secrets")?));
        let (endpoint, secrets): (Uuid, Vec<String>) = fields().map_err(|error| broken(&error))?;
        if secrets.iter().any(|secret| secret.parse::<Secret>().is_err()) {
            let seen =
                format!("points to a database with an invalid webhook secret, that of endpoint {endpoint}");
            return Err(Fault::new(URL, seen, "Replace it: `tinychat webhooks rotate`"));
        }
    }
    Ok((format!("those of {} endpoints are valid", rows.len()), ()))
}
