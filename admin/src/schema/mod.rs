//! The database's schema: applies migrations, and creates and removes route functions.

mod index;
mod route_functions;

use anyhow::Context;
use include_dir::{Dir, include_dir};
use index::Index;
use shared::db::Param;
use shared::route_function::RouteFunction;
use std::time::Duration;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Transaction};

static MIGRATIONS: Dir = include_dir!("$CARGO_MANIFEST_DIR/../supabase/migrations");

/// The timeout for a table's lock; the number of tries; and the pause between them. The timeout is short because other
/// statements on the table wait behind the migration.
const LOCK_TIMEOUT: &str = "set local lock_timeout = '500ms'";
const TRIES: u32 = 60;
const PAUSE: Duration = Duration::from_secs(1);

/// Applies the migrations and creates the route functions that the database lacks, and removes route functions that are
/// out of use. Returns a line for each change. All changes are one transaction, except for the indexes of large tables:
/// each is built between two transactions. Concurrent runs take turns.
pub async fn migrate(client: &mut Client) -> anyhow::Result<Vec<String>> {
    let mut done = Vec::new();
    let mut tries = 1..TRIES;
    loop {
        match advance(client, &mut done).await {
            Ok(None) => return Ok(done),
            Ok(Some(index)) => index.build(client).await?,
            Err(error) if is_locked_out(&error) && tries.next().is_some() => tokio::time::sleep(PAUSE).await,
            Err(error) => return Err(error),
        }
    }
}

/// Makes the changes that one transaction can make. Returns the index to build after it.
async fn advance(client: &mut Client, done: &mut Vec<String>) -> anyhow::Result<Option<Index>> {
    let transaction = begin(client).await?;
    transaction.batch_execute(LOCK_TIMEOUT).await?;
    let (mut new, index) = apply(&transaction).await?;
    if index.is_none() {
        new.extend(route_functions::install(&transaction, &route_functions::of_this_release()).await?);
    }
    transaction.commit().await?;
    done.append(&mut new);
    Ok(index)
}

/// Whether the error is a lock timeout or a deadlock.
fn is_locked_out(error: &anyhow::Error) -> bool {
    let code = error.downcast_ref::<tokio_postgres::Error>().and_then(tokio_postgres::Error::code);
    [SqlState::LOCK_NOT_AVAILABLE, SqlState::T_R_DEADLOCK_DETECTED].iter().any(|wanted| code == Some(wanted))
}

/// Creates the route functions that these .sql files define and the migrated database lacks, as [`migrate`] does.
pub async fn install(client: &mut Client, files: &[String]) -> anyhow::Result<Vec<String>> {
    let functions: Vec<_> = files.iter().filter_map(|text| RouteFunction::parse(text)).collect();
    let transaction = begin(client).await?;
    let done = route_functions::install(&transaction, &functions).await?;
    transaction.commit().await?;
    Ok(done)
}

async fn begin(client: &mut Client) -> anyhow::Result<Transaction<'_>> {
    let transaction = client.transaction().await?;
    transaction.batch_execute("select pg_advisory_xact_lock(hashtext('tinychat migrations'))").await?;
    Ok(transaction)
}

/// Applies migrations up to an index that isn't built yet.
async fn apply(transaction: &Transaction<'_>) -> anyhow::Result<(Vec<String>, Option<Index>)> {
    transaction.batch_execute(include_str!("history.sql")).await?;
    let mut applied = Vec::new();
    for file in sorted_files() {
        let stem =
            file.path().file_stem().and_then(|stem| stem.to_str()).context("a migration without a name")?;
        let (version, name) =
            stem.split_once('_').context("a migration must be named <timestamp>_<name>.sql")?;
        let sql = file.contents_utf8().context("a migration must be UTF-8")?;
        let known = "select from supabase_migrations.schema_migrations where version = $1";
        if !transaction.query_typed(known, &[(&version, Type::TEXT)]).await?.is_empty() {
            continue;
        }
        if let Some(index) = Index::parse(sql)
            && !index.is_valid(transaction).await?
        {
            return Ok((applied, Some(index)));
        }
        transaction.batch_execute(sql).await.with_context(|| format!("migration {stem}"))?;
        let row: [Param; 3] = [(&version, Type::TEXT), (&sql, Type::TEXT), (&name, Type::TEXT)];
        transaction.execute_typed(include_str!("record.sql"), &row).await?;
        applied.push(format!("applied {stem}"));
    }
    Ok((applied, None))
}

/// The names of the migrations and route functions that the database lacks.
pub async fn missing(client: &Client) -> anyhow::Result<Vec<String>> {
    let there =
        client.query_typed("select to_regclass('supabase_migrations.schema_migrations') is not null", &[]);
    let there: bool = there.await?.first().context("a statement returned no row")?.try_get(0)?;
    let mut applied = Vec::new();
    if there {
        let history = "select version || '_' || name from supabase_migrations.schema_migrations";
        for row in client.query_typed(history, &[]).await? {
            applied.push(row.try_get::<_, String>(0)?);
        }
    }
    let stems = sorted_files().into_iter().filter_map(|file| file.path().file_stem()?.to_str());
    let mut missing: Vec<_> =
        stems.filter(|stem| !applied.iter().any(|name| name == stem)).map(str::to_owned).collect();
    missing.extend(route_functions::missing(client, &route_functions::of_this_release()).await?);
    Ok(missing)
}

fn sorted_files() -> Vec<&'static include_dir::File<'static>> {
    let mut files: Vec<_> = MIGRATIONS.files().collect();
    files.sort_by_key(|file| file.path());
    files
}
