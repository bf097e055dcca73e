//! Postgres: the pool, and the one way to call a route's function.

use crate::auth::Credential;
use crate::config::SettingError;
use crate::error::Cause;
use crate::route_function::{RouteFunction, SCHEMA};
use crate::row::Row;
use crate::{Error, Result, after_response, config, credential_usage, error, telemetry, tls};
use deadpool_postgres::{ClientWrapper, Manager, ManagerConfig, Object, Pool, RecyclingMethod, Runtime};
use std::iter;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout_at};
use tokio_postgres::config::SslMode;
use tokio_postgres::error::{DbError, SqlState};
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Config, Row as PgRow};
use tokio_postgres_rustls::MakeRustlsConnect;

/// A statement's parameter and its type. Asking Postgres for the type would take a second round trip and a prepared
/// statement, which not every transaction-mode pooler keeps.
pub type Param<'a> = (&'a (dyn ToSql + Sync), Type);

/// A statement with its parameters.
#[derive(Clone, Copy)]
struct Statement<'a> {
    sql: &'a str,
    params: &'a [Param<'a>],
    /// Whether the connection prepares it under a name and keeps it. It must then return a row.
    named: bool,
}

/// The timeout of a new connection, including TLS and login.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(1_500);

/// The total time that a request waits for Postgres. It is far longer than any lock wait of ours.
const TIMEOUT: Duration = Duration::from_millis(2_800);

/// The `statement_timeout` of the functions' role, as set in supabase/migrations.
const STATEMENT_TIMEOUT: Duration = Duration::from_millis(2_500);

/// The time by which Postgres gives up before the request that waits for it does.
const MARGIN: Duration = Duration::from_millis(100);

/// The pauses before a statement's first and second retry. The first retry is for a connection that died while the
/// environment was frozen, and for a lost race: a unique-key conflict or a deadlock. The second is for a pooler whose
/// database went away: it fails the next caller even if the database is back, and reconnects only then. A statement can
/// be repeated because every id in it is made before the first attempt.
const PAUSES: [Duration; 2] = [Duration::ZERO, Duration::from_millis(100)];

/// The warning of a function that stops using named statements.
const NOT_KEPT: &str = "DATABASE_NAMED_STATEMENTS must be `false`: the pooler doesn't keep named statements";

/// The pool of connections to Postgres. Clones share it.
#[derive(Clone)]
pub struct Db {
    pool: Pool,
    /// Whether calls of route functions are named statements.
    named: Arc<AtomicBool>,
}

impl Db {
    /// Builds the pool from `DATABASE_URL` and `DATABASE_CA_CERT`, and opens its first connection, so that the first
    /// request needn't. If the database is down, the function still starts, and its requests try again.
    pub async fn connect() -> Result<Self, lambda_http::Error> {
        let db = Self::new()?;
        if let Err(error) = db.pool.get().await {
            tracing::warn!(error = %Chain(&error), "no database connection at start-up");
        }
        Ok(db)
    }

    fn new() -> Result<Self, lambda_http::Error> {
        Self::with(settings()?)
    }

    /// Builds the pool for a database URL, without opening a connection.
    pub fn at(url: &str) -> Result<Self, lambda_http::Error> {
        Self::with(settings_for(url, None)?)
    }

    fn with((config, tls): (Config, MakeRustlsConnect)) -> Result<Self, lambda_http::Error> {
        let recycling_method = RecyclingMethod::Fast;
        let manager = Manager::from_config(config, tls, ManagerConfig { recycling_method });
        let pool = Pool::builder(manager)
            .max_size(1) // Lambda sends an environment one request at a time
            .runtime(Runtime::Tokio1)
            .create_timeout(Some(CONNECT_TIMEOUT))
            .wait_timeout(Some(CONNECT_TIMEOUT))
            .build()?;
        Ok(Self { pool, named: Arc::default() })
    }

    /// Runs a statement that isn't a caller's request.
    pub async fn run(&self, sql: &str, params: &[Param<'_>]) -> Result<Vec<PgRow>> {
        self.run_within(TIMEOUT, sql, params).await
    }

    /// Runs a statement that may take more or less time than a request has.
    pub async fn run_within(&self, limit: Duration, sql: &str, params: &[Param<'_>]) -> Result<Vec<PgRow>> {
        self.measured(Statement { sql, params, named: false }, limit).await
    }

    async fn measured(&self, statement: Statement<'_>, limit: Duration) -> Result<Vec<PgRow>> {
        let start = Instant::now();
        let result = self.attempts(statement, start + limit).await;
        telemetry::record_database(start.elapsed());
        result
    }

    async fn attempts(&self, mut statement: Statement<'_>, deadline: Instant) -> Result<Vec<PgRow>> {
        let mut pauses = PAUSES.into_iter();
        loop {
            let failure = match self.attempt(statement, deadline).await {
                Ok(rows) => return Ok(rows),
                Err(failure) => failure,
            };
            match pauses.next() {
                Some(pause) if failure.may_pass => sleep(pause).await,
                _ => return Err(Error::Database(failure.advised())),
            }
            statement.named = false;
        }
    }

    async fn attempt(&self, statement: Statement<'_>, deadline: Instant) -> Result<Vec<PgRow>, Failure> {
        let client = match timeout_at(deadline, self.pool.get()).await {
            Ok(Ok(client)) => client,
            Ok(Err(error)) => return Err(Failure { cause: error.into(), may_pass: true }),
            Err(elapsed) => return Err(Failure { cause: elapsed.into(), may_pass: false }),
        };
        // Postgres must end the statement before the time is up here, so that nothing is committed after the caller was
        // told of a failure. The role's own timeout does so for a statement that starts at once. Any other statement
        // needs its own timeout.
        let left = deadline.saturating_duration_since(Instant::now()).saturating_sub(MARGIN);
        if !(STATEMENT_TIMEOUT..=TIMEOUT).contains(&left) {
            return within(left, Object::take(client), statement, deadline).await;
        }
        match timeout_at(deadline, query(&client, statement)).await {
            Ok(Ok(rows)) if statement.named && rows.is_empty() => Err(self.not_kept("no row".into())),
            Ok(Ok(rows)) => Ok(rows),
            Ok(Err(error)) if statement.named && is_not_kept(&error) => Err(self.not_kept(error.into())),
            Ok(Err(error)) => {
                let died = connection_died(&error);
                if died {
                    drop(Object::take(client));
                }
                let may_pass = died || lost_a_race(&error);
                Err(Failure { cause: error.into(), may_pass })
            }
            Err(elapsed) => {
                drop(Object::take(client)); // its response is still to come
                Err(Failure { cause: elapsed.into(), may_pass: false })
            }
        }
    }

    /// Stops using named statements, because the backend didn't have the one that was meant. Nothing was executed.
    fn not_kept(&self, cause: Cause) -> Failure {
        if self.named.swap(false, Ordering::Relaxed) {
            tracing::warn!(error = %Chain(&*cause), "{NOT_KEPT}");
        }
        Failure { cause, may_pass: true }
    }
}

/// Sends a statement. Preparing a named one takes a round trip of its own, once for each connection.
async fn query(
    client: &ClientWrapper,
    statement: Statement<'_>,
) -> Result<Vec<PgRow>, tokio_postgres::Error> {
    let Statement { sql, params, named } = statement;
    if !named {
        return client.query_typed(sql, params).await;
    }
    let (values, types): (Vec<_>, Vec<_>) = params.iter().cloned().unzip();
    let prepared = client.prepare_typed_cached(sql, &types).await?;
    client.query(&prepared, &values).await
}

/// Runs a statement with its own timeout, over a connection that is closed afterwards. When the time is up, this future
/// is dropped in the middle of its transaction. If the connection were kept, its next user might run inside that
/// transaction.
async fn within(
    limit: Duration,
    client: ClientWrapper,
    statement: Statement<'_>,
    deadline: Instant,
) -> Result<Vec<PgRow>, Failure> {
    let timeout = limit.as_millis().max(1); // 0 would be no timeout
    let rows = async {
        client.batch_execute(&format!("begin; set local statement_timeout = {timeout}")).await?;
        let rows = client.query_typed(statement.sql, statement.params).await?;
        client.batch_execute("commit").await?;
        Ok(rows)
    };
    match timeout_at(deadline, rows).await {
        Ok(Ok(rows)) => Ok(rows),
        Ok(Err(error)) => {
            let may_pass = connection_died(&error) || lost_a_race(&error);
            Err(Failure { cause: Cause::from(error), may_pass })
        }
        Err(elapsed) => Err(Failure { cause: elapsed.into(), may_pass: false }),
    }
}

/// The database as a route uses it: one call of the route's own function per request.
pub struct Route {
    /// The connection pool.
    pub db: Db,
    function: RouteFunction,
    admit: RouteFunction,
    /// Whether the use of the functions was recorded.
    recorded: AtomicBool,
}

/// An argument of a route function: a parameter's name without its `p_`, and the value.
pub type Argument<'a> = (&'static str, &'a dyn Value);

/// A value that knows its Postgres type.
pub trait Value: Sync {
    /// The value as a statement's parameter.
    fn param(&self) -> Param<'_>;
}

/// The types that route functions take.
const TYPES: [Type; 8] = [
    Type::TEXT,
    Type::UUID,
    Type::TIMESTAMPTZ,
    Type::INT8,
    Type::BOOL,
    Type::BYTEA,
    Type::JSONB,
    Type::TEXT_ARRAY,
];

impl<T: ToSql + Sync> Value for T {
    fn param(&self) -> Param<'_> {
        (self, TYPES.into_iter().find(T::accepts).unwrap_or(Type::UNKNOWN))
    }
}

/// Records that a process calls the functions $1, so that they aren't removed as out of use.
const IN_USE: &str = "
    update tinychat.route_functions
    set started_at = tinychat.now_ms()
    where name = any ($1) and (started_at is null or started_at < now() - interval '1 hour')";

impl Route {
    /// Opens the first connection, like [`Db::connect`], and checks that the function which `sql` defines exists. If it
    /// is missing, the start fails, because every request would fail.
    pub async fn connect(sql: &str) -> Result<Self, lambda_http::Error> {
        let parse = RouteFunction::parse;
        let function = parse(sql).ok_or("the route's .sql must define a function in tinychat_api")?;
        let admit =
            parse(include_str!("admit.sql")).ok_or("admit.sql must define a function in tinychat_api")?;
        let named = config::named_statements()?;
        let route = Self { db: Db::new()?, function, admit, recorded: AtomicBool::new(false) };
        route.db.named.store(named, Ordering::Relaxed);
        route.check().await?;
        Ok(route)
    }

    async fn check(&self) -> Result<(), lambda_http::Error> {
        // Postgres looks the names up as it parses the statement.
        let [function, admit] = self.names();
        let sql = format!("select '{SCHEMA}.{function}'::regproc, '{SCHEMA}.{admit}'::regproc");
        let statement = Statement { sql: &sql, params: &[], named: false };
        match self.db.attempt(statement, Instant::now() + TIMEOUT).await {
            Ok(_) => Ok(()),
            Err(failure) if failure.is_of_the_schema() => Err(failure.advised()),
            Err(failure) => {
                tracing::warn!(error = %Chain(&*failure.cause), "no database connection at start-up");
                Ok(())
            }
        }
    }

    /// Records that the route's functions are in use. Calls do this by themselves, after the first response.
    pub fn record_use(&self) -> impl Future<Output = ()> + use<> {
        let (db, functions) = (self.db.clone(), self.names().map(String::clone).to_vec());
        async move {
            if let Err(error) = db.run(IN_USE, &[functions.param()]).await {
                tracing::warn!(error = %Chain(&error), "the use of the route's functions was not recorded");
            }
        }
    }

    fn names(&self) -> [&String; 2] {
        [&self.function.name, &self.admit.name]
    }

    /// Calls the route's function, which returns a list. The `verdict` of its first row says whether the work was done.
    /// A list without items is one row of nulls: see [`crate::model::List`].
    pub async fn rows(&self, credential: &Credential, arguments: &[Argument<'_>]) -> Result<Vec<Row>> {
        self.call("select * from", &self.function, Row::Columns, credential, arguments).await
    }

    /// Calls the route's function, which returns one row. Its `verdict` says whether the work was done.
    pub async fn row(&self, credential: &Credential, arguments: &[Argument<'_>]) -> Result<Row> {
        self.record(&self.function, credential, arguments).await
    }

    /// Returns the parsed input. The caller gets an error in it only if the credential is accepted: an invalid body
    /// with an invalid key is a 401, never a 400.
    pub async fn admit<T>(&self, credential: &Credential, input: Result<T>) -> Result<T> {
        if input.is_err() {
            self.record(&self.admit, credential, &[]).await?;
        }
        input
    }

    /// Calls a function in the SELECT list. In a FROM clause, Postgres would need more time to plan the call, for each of
    /// its columns.
    async fn record(
        &self,
        function: &RouteFunction,
        credential: &Credential,
        arguments: &[Argument<'_>],
    ) -> Result<Row> {
        let row = |row| Row::Record(row, function.columns.clone());
        let mut rows = self.call("select", function, row, credential, arguments).await?;
        Ok(rows.swap_remove(0))
    }

    async fn call(
        &self,
        select: &str,
        RouteFunction { name: function, .. }: &RouteFunction,
        row: impl Fn(PgRow) -> Row,
        credential: &Credential,
        arguments: &[Argument<'_>],
    ) -> Result<Vec<Row>> {
        let arguments = || iter::once(("credential", credential as _)).chain(arguments.iter().copied());
        let names: Vec<_> = arguments().zip(1..).map(|((name, _), n)| format!("p_{name} => ${n}")).collect();
        let mut params: Vec<_> = arguments().map(|(_, value): Argument| value.param()).collect();
        let call = format!("{select} {SCHEMA}.{function}({})", names.join(", "));
        let is_named = self.db.named.load(Ordering::Relaxed);
        let sql = if is_named {
            // Behind a pooler that mixes up the statements of its clients, another statement of this name finds that
            // its own function isn't meant, and doesn't call it.
            params.push((function, Type::TEXT));
            format!("{call} where ${} = '{function}'", params.len())
        } else {
            call
        };
        let statement = Statement { sql: &sql, params: &params, named: is_named };
        let rows = self.db.measured(statement, TIMEOUT).await?;
        if !self.recorded.swap(true, Ordering::Relaxed) {
            after_response::defer(self.record_use());
        }
        let rows: Vec<_> = rows.into_iter().map(row).collect();
        let first =
            rows.first().ok_or_else(|| Error::Database("the route function returned no row".into()))?;
        if let Some(tenant) = first.try_get("tenant_id")? {
            telemetry::record_tenant(tenant);
            credential_usage::count(&self.db, tenant, credential.kind());
        }
        error::verdict(first.try_get("verdict")?)?;
        Ok(rows)
    }
}

/// The connection settings for Postgres, from `DATABASE_URL` and `DATABASE_CA_CERT`.
pub fn settings() -> Result<(Config, MakeRustlsConnect), lambda_http::Error> {
    settings_for(&config::required("DATABASE_URL")?, config::optional("DATABASE_CA_CERT").as_deref())
}

/// The connection settings for values from another source.
pub fn settings_for(url: &str, ca: Option<&str>) -> Result<(Config, MakeRustlsConnect), lambda_http::Error> {
    let invalid_url = |error| SettingError::new("DATABASE_URL", "a Postgres URL").because(error);
    let invalid_ca =
        |error| SettingError::new("DATABASE_CA_CERT", "PEM text or the path of a PEM file").because(error);
    let config = parse_url(url).map_err(invalid_url)?;
    let tls = match ca {
        Some(pem) => tls::private(pem).map_err(invalid_ca)?,
        None => tls::public()?,
    };
    Ok((config, MakeRustlsConnect::new(tls)))
}

/// The error of an attempt, and whether a retry may help.
struct Failure {
    cause: Cause,
    may_pass: bool,
}

impl Failure {
    /// Returns the cause. If the schema isn't that of this release, the text also says what to do.
    fn advised(self) -> Cause {
        if self.is_of_the_schema() {
            return format!("run `tinychat migrate`: {}", Chain(&*self.cause)).into();
        }
        self.cause
    }

    /// Whether Postgres lacks a function, a table, a column or a grant.
    fn is_of_the_schema(&self) -> bool {
        let code = self.cause.downcast_ref().and_then(tokio_postgres::Error::code);
        code.is_some_and(|code| code.code().starts_with("42") || *code == SqlState::INVALID_SCHEMA_NAME)
    }
}

/// Whether the transaction lost a race: for a unique key, or in a deadlock or conflict that Postgres resolved by ending
/// it.
fn lost_a_race(error: &tokio_postgres::Error) -> bool {
    [SqlState::UNIQUE_VIOLATION, SqlState::T_R_DEADLOCK_DETECTED, SqlState::T_R_SERIALIZATION_FAILURE]
        .iter()
        .any(|code| error.code() == Some(code))
}

/// Whether the backend doesn't know the statement's name, or knows it already.
fn is_not_kept(error: &tokio_postgres::Error) -> bool {
    [SqlState::INVALID_SQL_STATEMENT_NAME, SqlState::DUPLICATE_PSTATEMENT]
        .iter()
        .any(|code| error.code() == Some(code))
}

/// Whether the error is the connection's and not the statement's: an I/O error, or a server that is shutting down.
fn connection_died(error: &tokio_postgres::Error) -> bool {
    match error.code() {
        Some(code) => code.code().starts_with("57P") || code.code().starts_with("08"),
        None => true,
    }
}

/// Parses `DATABASE_URL` as libpq does, with one difference: TLS, if used at all, is fully verified. Only
/// `sslmode=disable` turns it off.
fn parse_url(url: &str) -> Result<Config, tokio_postgres::Error> {
    let url =
        url.replace("sslmode=verify-full", "sslmode=require").replace("sslmode=verify-ca", "sslmode=require");
    let mut config: Config = url.parse()?;
    if config.get_ssl_mode() != SslMode::Disable {
        config.ssl_mode(SslMode::Require);
    }
    config
        .application_name("tinychat")
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_user_timeout(Duration::from_secs(1))
        .keepalives_idle(Duration::from_secs(30));
    Ok(config)
}

/// Displays an error with all its causes, for a log line. The details of Postgres' errors are left out, because they
/// quote rows.
pub struct Chain<'a>(pub &'a (dyn std::error::Error + 'static));

impl std::fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut source = self.0.source();
        while let Some(cause) = source {
            match cause.downcast_ref::<DbError>() {
                Some(error) => write!(f, ": {}: {}", error.code().code(), error.message())?,
                None => write!(f, ": {cause}")?,
            }
            source = cause.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tls_is_verified_unless_it_is_switched_off() {
        let mode = |query| parse_url(&format!("postgres://u@h/d{query}")).unwrap().get_ssl_mode();
        for query in ["", "?sslmode=prefer", "?sslmode=require", "?sslmode=verify-ca", "?sslmode=verify-full"]
        {
            assert_eq!(mode(query), SslMode::Require, "{query}");
        }
        assert_eq!(mode("?sslmode=disable"), SslMode::Disable);
    }

    #[test]
    fn a_bad_url_is_told_without_its_password() {
        let error = parse_url("postgres://u:hunter2@h/d?sslmode=maybe").unwrap_err();
        let text = Chain(&error).to_string();
        assert!(text.contains("sslmode") && !text.contains("hunter2"), "{text}");
    }
}
