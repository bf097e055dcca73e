//! The route functions in the local database. They are created again as soon as a route's .sql file changes, so that the
//! next build of the binary finds its function.

use crate::console::Console;
use crate::options::project;
use crate::postgres;
use anyhow::Context;
use std::sync::Arc;
use std::time::Duration;
use std::{fs, io};

/// The interval between two checks of the files. It is shorter than any build.
const INTERVAL: Duration = Duration::from_millis(500);

/// Starts watching the files.
pub(crate) fn watch(database_url: String, console: Arc<Console>) {
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

/// Reads all .sql files that may define a route function.
fn read() -> io::Result<Vec<String>> {
    let mut paths =
        ["shared/src/admit.sql", "shared/src/webhook/record.sql"].map(|file| project().join(file)).to_vec();
    for function in fs::read_dir(project().join("functions"))? {
        let function = function?;
        paths.push(function.path().join("src").join(function.file_name()).with_extension("sql"));
    }
    paths.sort();
    Ok(paths.iter().filter_map(|path| fs::read_to_string(path).ok()).collect())
}
