//! Control of the local cloud: its faults, its processes and its logs.

use futures_util::FutureExt;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::future::Future;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::path::PathBuf;
use std::time::Duration;
use support::{Channel, Chat, TIMEOUT, setting};
use tokio::time::{Instant, sleep};
use tokio_postgres::NoTls;

/// Whether functions connect to Postgres through PgBouncer.
pub fn has_pooler() -> bool {
    std::env::var("POOLER").is_ok_and(|value| value == "1")
}

/// Returns the faults that stop a server of this cloud, in each way.
pub fn downs() -> Vec<Value> {
    let mut servers = vec!["postgres"];
    if has_pooler() {
        servers.push("pooler");
    }
    let down = |server: &'static str| ["fast", "immediate"].map(|down| json!({ server: { "down": down } }));
    servers.into_iter().flat_map(down).collect()
}

/// Runs `work` under these faults. All faults end after it, even if it panics.
pub async fn during<T>(faults: Value, work: impl Future<Output = T>) -> T {
    set_faults(&faults).await;
    let outcome = AssertUnwindSafe(work).catch_unwind().await;
    set_faults(&json!({})).await;
    outcome.unwrap_or_else(|panic| resume_unwind(panic))
}

async fn set_faults(faults: &Value) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let http = reqwest::Client::builder().no_proxy().tls_certs_only([]).build().unwrap();
    let url = format!("{}/__faults", setting("SUPABASE_URL"));
    let response = http.post(url).json(faults).send().await.unwrap();
    assert_eq!(response.status(), 200, "{faults}: {}", response.text().await.unwrap());
}

/// Opens a connection to Postgres as the superuser, without the pooler.
pub async fn superuser() -> tokio_postgres::Client {
    let (client, connection) = tokio_postgres::connect(&setting("DATABASE_URL"), NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// Ends up to `count` connections to Postgres, chosen at random but active ones first. Returns their number.
pub async fn kill_backends(count: i64) -> i64 {
    let kill = "select count(pg_terminate_backend(pid)) from (
            select pid from pg_stat_activity
            where backend_type = 'client backend' and pid <> pg_backend_pid()
            order by state = 'active' desc, random()
            limit $1
        ) victims";
    superuser().await.query_one(kill, &[&count]).await.unwrap().get(0)
}

/// Waits until a condition, described by `what`, is true.
pub async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + TIMEOUT;
    while !condition() {
        assert!(Instant::now() < deadline, "not within {TIMEOUT:?}: {what}");
        sleep(Duration::from_millis(2)).await;
    }
}

/// Waits until all functions have finished their work, including the work after their responses, and are frozen. Ignores
/// deliver-webhooks, which runs on a schedule.
pub async fn until_frozen() {
    until("all functions are frozen", || states_of_functions().is_subset(&BTreeSet::from(['T']))).await;
}

/// Joins a conversation's channel after all earlier broadcasts to it.
pub async fn listen(chat: &Chat) -> Channel {
    until_frozen().await;
    Channel::join(&chat.conversation).await
}

/// Asserts that there has been no further broadcast, when all functions have finished their work.
pub async fn assert_silent(channel: &mut Channel) {
    until_frozen().await;
    channel.is_silent().await;
}

/// Returns the states of this cloud's functions, as the letters of `ps`. `T` is stopped.
fn states_of_functions() -> BTreeSet<char> {
    let state = |process: PathBuf| {
        let stat = std::fs::read_to_string(process.join("stat")).ok()?;
        stat.rsplit_once(") ")?.1.chars().next()
    };
    let routes = processes().filter(|(function, _)| function != "deliver-webhooks");
    routes.filter_map(|(_, process)| state(process)).collect()
}

/// Kills every process of a function.
pub fn kill(function: &str) {
    for (_, process) in processes().filter(|(name, _)| name == function) {
        let pid = process.file_name().unwrap();
        assert!(std::process::Command::new("kill").arg("-KILL").arg(pid).status().unwrap().success());
    }
}

/// Returns the largest peak memory of a function's processes, in KB.
pub fn peak_memory(function: &str) -> u64 {
    let peak = |process: PathBuf| -> Option<u64> {
        let status = std::fs::read_to_string(process.join("status")).ok()?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        peak.trim().trim_end_matches(" kB").parse().ok()
    };
    processes().filter(|(name, _)| name == function).filter_map(|(_, process)| peak(process)).max().unwrap()
}

/// Returns the functions that use this cloud's database, and their folders in /proc.
fn processes() -> impl Iterator<Item = (String, PathBuf)> {
    let ours = format!("DATABASE_URL={}", setting("FUNCTION_DATABASE_URL"));
    let function = move |process: PathBuf| {
        let variables = std::fs::read(process.join("environ")).ok()?;
        let variables = String::from_utf8_lossy(&variables);
        let mut variables = variables.split('\0');
        let name = variables.clone().find_map(|variable| variable.strip_prefix("AWS_LAMBDA_FUNCTION_NAME="));
        variables.any(|variable| variable == ours).then_some((name?.to_owned(), process))
    };
    std::fs::read_dir("/proc").unwrap().filter_map(move |process| function(process.ok()?.path()))
}

/// The errors that a function logs from now on.
pub struct Log {
    path: PathBuf,
    skip: usize,
}

impl Log {
    pub fn of(function: &str) -> Self {
        let path = PathBuf::from(setting("DATA_DIR")).join(format!("logs/{function}.log"));
        let mut log = Self { path, skip: 0 };
        log.skip = log.errors().len();
        log
    }

    /// Reads the new errors. Each line of the log is JSON.
    pub fn errors(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(&self.path).unwrap_or_default();
        let lines = text.lines().filter_map(|line| serde_json::from_str(line).ok());
        lines.filter(|line: &Value| line["level"] == "ERROR").skip(self.skip).collect()
    }
}
