//! The database's schema, brought up to date: for the command line and for the local cloud.

mod route_functions;

use anyhow::Context;
use include_dir::{Dir, include_dir};
use shared::db::Param;
use shared::route_function::RouteFunction;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Transaction};

static MIGRATIONS: Dir = include_dir!("$CARGO_MANIFEST_DIR/../supabase/migrations");

/// The Supabase CLI's own history table, so that it and this runner can take turns on one database.
const HISTORY: &str = "
    create schema if not exists supabase_migrations;
    create table if not exists supabase_migrations.schema_migrations (
        version text primary key, statements text[], name text
    )";

/// Applies the migrations in supabase/migrations that the database lacks, creates the route functions that it lacks and
/// removes those that are out of use, all in one transaction, and returns what it did. Runs that overlap take turns.
pub async fn migrate(client: &mut Client) -> anyhow::Result<Vec<String>> {
    let transaction = begin(client).await?;
    let mut done = apply(&transaction).await?;
    done.extend(route_functions::install(&transaction, &route_functions::of_this_release()).await?);
    transaction.commit().await?;
    Ok(done)
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

async fn apply(transaction: &Transaction<'_>) -> anyhow::Result<Vec<String>> {
    transaction.batch_execute(HISTORY).await?;
    let mut applied = Vec::new();
    for file in sorted_files() {
        let stem =
            file.path().file_stem().and_then(|stem| stem.to_str()).context("a migration without a name")?;
        let (version, name) = stem.split_once('_').context("migrations are named <timestamp>_<name>.sql")?;
        let sql = file.contents_utf8().context("a migration that is not UTF-8")?;
        let history = "insert into supabase_migrations.schema_migrations (version, statements, name)
            values ($1, array[$2], $3) on conflict do nothing";
        let row: [Param; 3] = [(&version, Type::TEXT), (&sql, Type::TEXT), (&name, Type::TEXT)];
        if transaction.execute_typed(history, &row).await? == 1 {
            transaction.batch_execute(sql).await.with_context(|| format!("migration {stem}"))?;
            applied.push(format!("applied {stem}"));
        }
    }
    Ok(applied)
}

/// The names of the migrations and route functions that the database lacks.
pub async fn missing(client: &Client) -> anyhow::Result<Vec<String>> {
    let there =
        client.query_typed("select to_regclass('supabase_migrations.schema_migrations') is not null", &[]);
    let there: bool = there.await?.first().context("a statement without a row")?.try_get(0)?;
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
