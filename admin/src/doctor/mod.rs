//! `tinychat doctor`: checks the settings of this machine and their services, or a deployment, and reports faults.

mod database;
mod network;
mod realtime;
mod settings;
mod stack;
mod storage;

use crate::output::{Failure, Output};
use clap::Args;
use serde::Serialize;
use shared::access_token::Signer;
use shared::config;
use shared::db::Chain;
use std::cell::RefCell;
use std::future::Future;
use std::time::{Duration, Instant};
use tokio::join;

/// The timeout of a check. At most three checks wait for each other, so that all results are shown within 10 s.
const TIMEOUT: Duration = Duration::from_secs(3);

/// The timeout of checks that try a service from end to end. They wait for one other check.
const ROUND_TRIP: Duration = Duration::from_secs(6);

/// The setting that most checks depend on; and the setting and timeout of the database's checks.
const URL: &str = "SUPABASE_URL";
const DATABASE: (&str, Duration) = ("DATABASE_URL", TIMEOUT);
const NAMED: (&str, Duration) = ("DATABASE_NAMED_STATEMENTS", TIMEOUT);

/// The timeout of a request to AWS.
const AWS: Duration = Duration::from_secs(10);

#[derive(Args)]
pub struct Doctor {
    /// Checks the deployment of this `CloudFormation` stack, with the AWS CLI's credentials, instead of the settings of
    /// this machine
    #[arg(long, value_name = "NAME")]
    stack: Option<String>,
    /// The stack's AWS region, instead of the AWS CLI's default
    #[arg(long, requires = "stack")]
    region: Option<String>,
    /// The number of clients that the database's pooler accepts: 200 on Supabase's smallest compute sizes
    #[arg(long, requires = "stack", default_value_t = 200)]
    pooler_limit: u32,
}

/// A fault: the setting that causes it, a description that follows the setting's name, and the next step.
#[derive(Debug)]
pub struct Fault {
    setting: &'static str,
    seen: String,
    step: String,
}

impl Fault {
    pub fn new(setting: &'static str, seen: impl Into<String>, step: impl Into<String>) -> Self {
        Self { setting, seen: seen.into(), step: step.into() }
    }
}

/// The result of a check.
#[derive(Serialize)]
struct Finding {
    check: &'static str,
    /// `yes`, `no` or `skipped`.
    well: &'static str,
    milliseconds: u128,
    #[serde(skip_serializing_if = "Option::is_none")]
    setting: Option<&'static str>,
    /// A description of the result or the fault.
    seen: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    step: Option<String>,
}

/// The findings. Each is shown as soon as it is known.
struct Report<'a> {
    output: &'a Output,
    findings: RefCell<Vec<Finding>>,
}

pub async fn run(doctor: Doctor, output: &Output) -> anyhow::Result<()> {
    let report = Report { output, findings: RefCell::default() };
    match doctor.stack {
        Some(name) => Box::pin(stack::examine(&name, doctor.region, doctor.pooler_limit, &report)).await,
        None => Box::pin(examine(&report)).await,
    }
    report.conclude()
}

async fn examine(report: &Report<'_>) {
    let faults = settings::faults();
    let broken: Vec<_> = faults.iter().map(|fault| fault.setting).collect();
    if faults.is_empty() {
        report.add("settings", "yes", Instant::now(), settings::summary());
    }
    for fault in faults {
        report.blame("settings", Instant::now(), fault);
    }
    join!(examine_database(report, &broken), examine_project(report, &broken));
}

async fn examine_database(report: &Report<'_>, broken: &[&str]) {
    let connection = async {
        report.needs("database", broken, &["DATABASE_URL", "DATABASE_CA_CERT"])?;
        report.check("database", DATABASE, Box::pin(database::connection())).await
    };
    let Some(database) = connection.await else {
        return report.skip(&["schema", "functions' role", "webhook secrets"], "the database");
    };
    if config::named_statements().is_ok_and(|named| named) {
        report.check("named statements", NAMED, database::named_statements()).await;
    }
    if report.check("schema", DATABASE, database::schema(&database)).await.is_none() {
        return report.skip(&["functions' role", "webhook secrets"], "the schema");
    }
    join!(
        report.check("functions' role", DATABASE, database::functions_role(&database)),
        report.check("webhook secrets", DATABASE, database::webhook_secrets(&database)),
    );
}

async fn examine_project(report: &Report<'_>, broken: &[&str]) {
    let address = async {
        report.needs("supabase", broken, &["SUPABASE_URL"])?;
        report.check("supabase", (URL, TIMEOUT), network::project()).await
    };
    let Some(address) = address.await else {
        return report.skip(&["realtime", "access tokens", "storage"], "supabase");
    };
    let realtime = async {
        let needed = ["SUPABASE_ANON_KEY", "SUPABASE_SERVICE_ROLE_KEY", "REALTIME_PRIVATE"];
        report.needs("realtime", broken, &needed)?;
        report.check("realtime", (URL, ROUND_TRIP), realtime::round_trip(&address)).await
    };
    let access_tokens = async {
        let check = "access tokens";
        let Some(socket) = realtime.await else {
            return report.skip(&[check], "realtime");
        };
        match Signer::from_env() {
            Ok(Some(signer)) => {
                report.check(check, (URL, TIMEOUT), realtime::access_tokens(socket, signer)).await;
            }
            Ok(None) | Err(_) => report.skip(&[check], "REALTIME_JWT_KEY"),
        }
    };
    let storage = async {
        let needed =
            ["STORAGE_BUCKET", "STORAGE_REGION", "STORAGE_ACCESS_KEY_ID", "STORAGE_SECRET_ACCESS_KEY"];
        report.needs("storage", broken, &needed)?;
        report.check("storage", (URL, ROUND_TRIP), Box::pin(storage::round_trip(&address))).await
    };
    join!(access_tokens, storage);
}

impl Report<'_> {
    /// Runs a check, and returns its value for later checks. Exceeding the time limit is a fault of the service that the
    /// setting points to.
    async fn check<T>(
        &self,
        check: &'static str,
        (setting, limit): (&'static str, Duration),
        examination: impl Future<Output = Result<(String, T), Fault>>,
    ) -> Option<T> {
        let start = Instant::now();
        match tokio::time::timeout(limit, examination).await {
            Ok(Ok((seen, value))) => {
                self.add(check, "yes", start, seen);
                return Some(value);
            }
            Ok(Err(fault)) => self.blame(check, start, fault),
            Err(_) => {
                let seen = format!("points to a service that doesn't respond within {} s", limit.as_secs());
                self.blame(
                    check,
                    start,
                    Fault::new(setting, seen, "Check its load and its locks, and try again"),
                );
            }
        }
        None
    }

    /// Runs a check of the deployment. It doesn't depend on the settings of this machine.
    async fn probe(&self, check: &'static str, examination: impl Future<Output = anyhow::Result<String>>) {
        let start = Instant::now();
        match tokio::time::timeout(AWS, examination).await {
            Ok(Ok(seen)) => self.add(check, "yes", start, seen),
            Ok(Err(error)) => self.add(check, "no", start, Chain(&*error).to_string()),
            Err(_) => self.add(check, "no", start, format!("no response within {} s", AWS.as_secs())),
        }
    }

    /// Skips a check and returns `None` if it needs a setting that is known to be wrong.
    fn needs(&self, check: &'static str, broken: &[&str], needed: &[&str]) -> Option<()> {
        match needed.iter().find(|setting| broken.contains(setting)) {
            Some(setting) => {
                self.skip(&[check], setting);
                None
            }
            None => Some(()),
        }
    }

    fn skip(&self, checks: &[&'static str], cause: &str) {
        for check in checks {
            self.add(check, "skipped", Instant::now(), format!("skipped, because it depends on {cause}"));
        }
    }

    fn blame(&self, check: &'static str, start: Instant, Fault { setting, seen, step }: Fault) {
        let milliseconds = start.elapsed().as_millis();
        self.show(Finding {
            check,
            well: "no",
            milliseconds,
            setting: Some(setting),
            seen,
            step: Some(step),
        });
    }

    fn add(&self, check: &'static str, well: &'static str, start: Instant, seen: String) {
        let milliseconds = start.elapsed().as_millis();
        self.show(Finding { check, well, milliseconds, setting: None, seen, step: None });
    }

    fn show(&self, finding: Finding) {
        let Finding { check, well, milliseconds, setting, seen, step } = &finding;
        let text = match (setting, step) {
            (Some(setting), Some(step)) => format!("{setting} {seen}. {step}."),
            _ if *well == "yes" => format!("{seen} ({milliseconds} ms)"),
            _ => seen.clone(),
        };
        self.output.line(well, &format!("{check:16} {text}"));
        self.findings.borrow_mut().push(finding);
    }

    fn is_unhealthy(&self) -> bool {
        self.findings.borrow().iter().any(|finding| finding.well == "no")
    }

    fn conclude(&self) -> anyhow::Result<()> {
        if self.output.json {
            self.output.done("", &*self.findings.borrow())?;
        }
        if self.is_unhealthy() { Err(Failure::Unhealthy.into()) } else { Ok(()) }
    }
}

/// Returns a required setting, with this program's type of error.
fn required(name: &'static str) -> anyhow::Result<String> {
    Ok(config::required(name)?)
}

/// Returns an HTTP client that trusts the same authorities as the functions. Its timeout is shorter than a check's.
fn http() -> anyhow::Result<reqwest::Client> {
    let tls = shared::tls::public().map_err(|error| anyhow::anyhow!(error))?;
    Ok(reqwest::Client::builder().tls_backend_preconfigured(tls).timeout(ROUND_TRIP.mul_f32(0.8)).build()?)
}
