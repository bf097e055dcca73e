//! The route functions in the local database: created again as soon as a route's .sql changes, so that the binary that is
//! built next finds its own.

use crate::config::project;
use crate::console::Console;
use crate::postgres;
use anyhow::Context;
use std::sync::Arc;
use std::time::Duration;
use std::{fs, io};

/// The time between two looks at the files: shorter than any build.
const INTERVAL: Duration = Duration::from_millis(500);

/// Follows the files from now on.
pub(crate) fn follow(database_url: String, console: Arc<Console>) {
    tokio::spawn(async move {
        let mut installed = Vec::new();
        loop {
            let files = read().unwrap_or_default();
            if files != installed {
                if let Err(error) = install(&database_url, &files).await {
                    console.problem(&format!("route functions: {error:#}"));
                }
                installed = files;
            }
            tokio::time::sleep(INTERVAL).await;
        }
    });
}

async fn install(database_url: &str, files: &[String]) -> anyhow::Result<()> {
    let mut client = postgres::connect(database_url).await.context("DATABASE_URL")?;
    admin::install(&mut client, files).await?;
    Ok(())
}

/// The texts of all .sql files that may define a route function.
fn read() -> io::Result<Vec<String>> {
    let mut paths = vec![project().join("shared/src/admit.sql")];
    for function in fs::read_dir(project().join("functions"))? {
        let function = function?;
        paths.push(function.path().join("src").join(function.file_name()).with_extension("sql"));
    }
    paths.sort();
    Ok(paths.iter().filter_map(|path| fs::read_to_string(path).ok()).collect())
}
