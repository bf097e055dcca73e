//! The route functions in the database: creates those of a release, and removes those that are out of use.

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

/// Creates missing functions and removes those that are out of use. Returns a line for each change.
pub(crate) async fn install(
    transaction: &Transaction<'_>,
    functions: &[RouteFunction],
) -> anyhow::Result<Vec<String>> {
    let missing = missing(transaction, functions).await?;
    let mut done = Vec::new();
    for RouteFunction { name, route, sql, .. } in functions {
        if missing.contains(name) {
            let grants = format!(
                "revoke all on function {SCHEMA}.{name} from public;
                grant execute on function {SCHEMA}.{name} to tinychat_functions"
            );
            transaction.batch_execute(&format!("{sql}\n{grants}")).await.with_context(|| route.clone())?;
            done.push(format!("created {SCHEMA}.{name}"));
        }
        let migrated = include_str!("migrated.sql");
        transaction.execute_typed(migrated, &[name.param(), route.param()]).await?;
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
