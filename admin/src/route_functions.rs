//! The route functions in the database: creates those that a release needs, and removes those that no release uses any
//! more.

use anyhow::Context;
use shared::db::Value;
use shared::route_function::{RouteFunction, SCHEMA};
use tokio_postgres::{GenericClient, Transaction};

/// The texts of all .sql files that define a route function.
const FILES: &[&str] = &include!(concat!(env!("OUT_DIR"), "/files.rs"));

/// The route functions of this release.
pub(crate) fn of_this_release() -> Vec<RouteFunction> {
    FILES.iter().filter_map(|text| RouteFunction::parse(text)).collect()
}

/// Creates the functions that are missing and removes those that are out of use. Returns what it did.
pub(crate) async fn install(
    transaction: &Transaction<'_>,
    functions: &[RouteFunction],
) -> anyhow::Result<Vec<String>> {
    let missing = missing(transaction, functions).await?;
    let mut done = Vec::new();
    for RouteFunction { name, route, sql } in functions {
        if missing.contains(name) {
            let grants = format!(
                "revoke all on function {SCHEMA}.{name} from public;
                grant execute on function {SCHEMA}.{name} to tinychat_functions"
            );
            transaction.batch_execute(&format!("{sql}\n{grants}")).await.with_context(|| route.clone())?;
            done.push(format!("created {SCHEMA}.{name}"));
        }
        let note = "insert into tinychat.route_functions (name, route) values ($1, $2)
            on conflict (name) do update set migrated_at = excluded.migrated_at";
        transaction.execute_typed(note, &[name.param(), route.param()]).await?;
    }
    for row in transaction.query_typed(include_str!("out-of-use.sql"), &[]).await? {
        let name: String = row.try_get(0)?;
        transaction.batch_execute(&format!("drop function if exists {SCHEMA}.{name}")).await?;
        done.push(format!("removed {SCHEMA}.{name}"));
    }
    Ok(done)
}

/// Returns the names of the functions that the database lacks.
pub(crate) async fn missing(
    client: &impl GenericClient,
    functions: &[RouteFunction],
) -> anyhow::Result<Vec<String>> {
    let names: Vec<_> = functions.iter().map(|function| function.name.as_str()).collect();
    let sql =
        "select name from unnest($1) as needed (name) where to_regproc('tinychat_api.' || name) is null";
    let rows = client.query_typed(sql, &[names.param()]).await?;
    Ok(rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?)
}
