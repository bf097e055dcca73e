//! `tinychat doctor`: tries every setting and dependency from where it runs, or what is deployed, and says what is wrong.

mod database;
mod realtime;
mod stack;
mod storage;

use crate::output::{Failure, Output};
use crate::role;
use clap::Args;
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

#[derive(Args)]
pub struct Doctor {
    /// Looks at what is deployed as this `CloudFormation` stack, with the AWS CLI's credentials, and not at the settings here
    #[arg(long, value_name = "NAME")]
    stack: Option<String>,
    /// The stack's AWS region, in place of the one that the AWS CLI would take
    #[arg(long, requires = "stack")]
    region: Option<String>,
    /// How many clients the database's pooler takes, which it doesn't tell itself: 200 on Supabase's smallest computes
    #[arg(long, requires = "stack", default_value_t = 200)]
    pooler_limit: u32,
}

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

pub async fn run(doctor: Doctor, output: &Output) -> anyhow::Result<()> {
    let findings = match doctor.stack {
        Some(name) => Box::pin(stack::examine(&name, doctor.region, doctor.pooler_limit)).await,
        None => vec![
            check("settings", async { settings() }).await,
            check("database", database::connection()).await,
            check("schema", database::schema()).await,
            check("functions' role", role::examine()).await,
            check("webhook secrets", database::webhook_secrets()).await,
            check("realtime", Box::pin(realtime::round_trip())).await,
            check("storage", Box::pin(storage::round_trip())).await,
        ],
    };
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
