//! `tinychat doctor`: tries every setting and dependency from where it runs, or what is deployed, and says what is wrong.

mod database;
mod realtime;
mod storage;

use crate::output::{Failure, Output};
use crate::role;
use serde::Serialize;
use shared::config::{self, KeyKind};
use std::future::Future;
use std::time::{Duration, Instant};
use tabled::Tabled;

/// How long one check may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// The settings that some function needs.
const SETTINGS: [&str; 7] = [
    "DATABASE_URL",
    "SUPABASE_URL",
    "SUPABASE_ANON_KEY",
    "SUPABASE_SERVICE_ROLE_KEY",
    "STORAGE_REGION",
    "STORAGE_ACCESS_KEY_ID",
    "STORAGE_SECRET_ACCESS_KEY",
];

#[derive(Serialize, Tabled)]
struct Finding {
    check: &'static str,
    well: &'static str,
    milliseconds: u128,
    /// What was seen, or what is wrong.
    seen: String,
}

impl Finding {
    fn is_unwell(&self) -> bool {
        self.well == "no"
    }
}

pub async fn run(output: &Output) -> anyhow::Result<()> {
    let findings = [
        check("settings", async { settings() }).await,
        check("database", database::connection()).await,
        check("schema", database::schema()).await,
        check("functions' role", role::examine()).await,
        check("webhook secrets", database::webhook_secrets()).await,
        check("realtime", Box::pin(realtime::round_trip())).await,
        check("storage", Box::pin(storage::round_trip())).await,
    ];
    output.list(&findings)?;
    if findings.iter().any(Finding::is_unwell) {
        return Err(Failure::Unwell.into());
    }
    Ok(())
}

async fn check(check: &'static str, examination: impl Future<Output = anyhow::Result<String>>) -> Finding {
    let start = Instant::now();
    let outcome = tokio::time::timeout(PATIENCE, examination).await;
    let (well, seen) = match outcome {
        Ok(Ok(seen)) => ("yes", seen),
        Ok(Err(error)) => ("no", format!("{error:#}")),
        Err(_) => ("no", format!("no answer within {} s", PATIENCE.as_secs())),
    };
    Finding { check, well, milliseconds: start.elapsed().as_millis(), seen }
}

fn settings() -> anyhow::Result<String> {
    let missing: Vec<_> = SETTINGS.into_iter().filter(|name| config::optional(name).is_none()).collect();
    anyhow::ensure!(missing.is_empty(), "set {}", missing.join(", "));
    config::supabase_anon_key().map_err(|error| anyhow::anyhow!(error))?;
    anyhow::ensure!(
        KeyKind::of(&required("SUPABASE_SERVICE_ROLE_KEY")?) != KeyKind::Public,
        "SUPABASE_SERVICE_ROLE_KEY must be the project's secret key (service_role or sb_secret_…): it is the public one"
    );
    Ok(format!("all {} are set", SETTINGS.len()))
}

/// A setting as this program's kind of error.
fn required(name: &'static str) -> anyhow::Result<String> {
    config::required(name).map_err(|error| anyhow::anyhow!(error))
}

/// Likewise the project's address.
fn supabase_url() -> anyhow::Result<String> {
    config::supabase_url().map_err(|error| anyhow::anyhow!(error))
}

/// An HTTP client that trusts whom the functions trust.
fn http() -> anyhow::Result<reqwest::Client> {
    let tls = shared::tls::public().map_err(|error| anyhow::anyhow!(error))?;
    Ok(reqwest::Client::builder().tls_backend_preconfigured(tls).build()?)
}
