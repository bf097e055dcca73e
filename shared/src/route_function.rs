//! Route functions: the server-side functions of the routes. A route's .sql file defines one. Its name in Postgres ends
//! with a hash of that text. So a binary always calls the text that it was built with, whatever other releases have
//! installed.

use sha2::{Digest, Sha256};
use std::sync::Arc;

/// The schema that holds the route functions and nothing else.
pub const SCHEMA: &str = "tinychat_api";

/// The settings of every route function. A generic plan is made once per backend and kept. It must suit every tenant
/// and must not become slow as tables grow. So only index scans and nested loops are allowed, which never read more
/// than a few rows.
const SETTINGS: &str = "
    set search_path = ''
    set plan_cache_mode = force_generic_plan
    set enable_seqscan = off
    set enable_bitmapscan = off
    set enable_hashjoin = off
    set enable_mergejoin = off
    set jit = off";

/// A route function as its file defines it.
pub struct RouteFunction {
    /// Its name in [`SCHEMA`]: the route's name, an underscore and the hash.
    pub name: String,
    /// The route's name, in the form of an SQL identifier.
    pub route: String,
    /// The names of the columns that it returns.
    pub columns: Arc<[String]>,
    /// The statements that create it.
    pub sql: String,
}

impl RouteFunction {
    /// Parses a file's text. Returns `None` if it doesn't define a route function.
    pub fn parse(text: &str) -> Option<Self> {
        let (before, definition) = text.split_once("create function tinychat_api.")?;
        let (route, rest) = definition.split_once('(')?;
        let hash = Sha256::new().chain_update(text).chain_update(SETTINGS).finalize();
        let hash = hash.iter().take(6).fold(0_u64, |hash, byte| hash << 8 | u64::from(*byte));
        let name = format!("{route}_{hash:012x}");
        let sql = format!(
            "{before}create function {SCHEMA}.{name}({rest}\nalter function {SCHEMA}.{name}{SETTINGS};"
        );
        let columns = columns(rest).unwrap_or_default();
        Some(Self { name, route: route.to_owned(), columns, sql })
    }
}

/// Returns the names in `returns table (name type, …)`.
fn columns(definition: &str) -> Option<Arc<[String]>> {
    let (_, table) = definition.split_once("returns table (")?;
    let lines = table.lines().map(|line| line.split_once("--").map_or(line, |(code, _)| code));
    let table = lines.collect::<Vec<_>>().join(" ");
    let (columns, _) = table.split_once(')')?;
    columns.split(',').map(|column| column.split_whitespace().next().map(str::to_owned)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "-- Adds.\ncreate function tinychat_api.add_up(p_a int, p_b int) returns int …";

    #[test]
    fn a_function_is_named_after_its_route_and_text() {
        let function = RouteFunction::parse(TEXT).unwrap();
        let hash = function.name.strip_prefix("add_up_").unwrap();
        assert!(hash.len() == 12 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()), "{hash}");
        assert_eq!(function.route, "add_up");
        let start =
            format!("-- Adds.\ncreate function tinychat_api.{}(p_a int, p_b int) returns", function.name);
        assert!(function.sql.starts_with(&start), "{}", function.sql);
    }

    #[test]
    fn its_columns_are_those_of_the_returned_table() {
        let columns = |text| RouteFunction::parse(&TEXT.replace("int …", text)).unwrap().columns;
        let table =
            "table (\n    verdict text, id uuid, -- of the user, never null (see (1))\n    n int\n)\nas …";
        assert_eq!(*columns(table), ["verdict", "id", "n"]);
        assert_eq!(*columns("table (verdict text) as $$ (a, b) $$"), ["verdict"]);
        assert!(columns("int as …").is_empty());
    }

    #[test]
    fn another_text_is_another_function() {
        let name = |text: &str| RouteFunction::parse(text).unwrap().name;
        assert_eq!(name(TEXT), name(TEXT));
        assert_ne!(name(TEXT), name(&TEXT.replace("Adds", "Sums")));
    }

    #[test]
    fn a_statement_is_no_function() {
        assert!(RouteFunction::parse("select 1").is_none());
    }
}
