//! The environment of all measurements: functions, their settings, databases and pgbench.

use crate::function::Function;
use crate::pgbench::{Pgbench, Protocol};
use crate::round::{REQUESTS, WARM_UP};
use crate::settings::Settings;
use crate::stats::Sample;
use crate::{database, http};
use anyhow::Context;
use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use tokio::runtime::{Builder, Runtime};
use tokio_postgres::Row;

/// The database of all measurements except scale, and its number of messages.
pub(crate) const WARM: &str = "bench_warm";
pub(crate) const WARM_ROWS: u64 = 100_000;

/// A URL at which there is no database.
pub(crate) const NO_DATABASE: &str = "postgres://bench@127.0.0.1:1/bench?sslmode=disable";

/// The routes that bench/node implements.
const IN_NODE: [&str; 3] = ["get-config", "list-messages", "send-message"];

/// An implementation of a function.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Implementation {
    /// The one of this version, from the folder of the benchmark's own binary.
    Ours,
    /// The same with named statements.
    Named,
    /// The one of another version, from the folder in the variable `BASELINE`.
    Baseline,
    /// The one in bench/node.
    Node,
}

/// The environment of the measurements.
pub(crate) struct Lab {
    /// The folder for reports and pgbench's files.
    pub(crate) folder: PathBuf,
    /// The folder of the release binaries, including this one.
    pub(crate) binaries: PathBuf,
    pub(crate) pgbench: Pgbench,
    baseline: Option<PathBuf>,
    most_rounds: u32,
    node: PathBuf,
    /// The superuser's URL.
    cluster: String,
    /// The URL of the functions and pgbench. Its role has its own settings and policies.
    role: String,
    supabase: String,
    tokio: Runtime,
}

impl Lab {
    /// Finds everything. `local` has set the URLs in the environment.
    pub(crate) fn open(settings: &Settings) -> anyhow::Result<Self> {
        let variable = |name| env::var(name).with_context(|| format!("{name} is missing: run `make bench`"));
        let cluster = variable("DATABASE_URL")?;
        let program = env::current_exe()?;
        let binaries = program.parent().context("the benchmark must be in cargo's target folder")?;
        let folder =
            binaries.parent().context("the benchmark must be in cargo's target folder")?.join("bench");
        fs::create_dir_all(&folder)?;
        Ok(Self {
            pgbench: Pgbench::find(&folder, &cluster)?,
            folder,
            binaries: binaries.to_owned(),
            baseline: settings.baseline.clone(),
            most_rounds: settings.rounds,
            node: find_node()?,
            cluster,
            role: variable("FUNCTION_DATABASE_URL")?,
            supabase: http::start_accepting_server()?,
            tokio: Builder::new_current_thread().enable_all().build()?,
        })
    }

    /// Returns `rounds`, or `BENCH_ROUNDS` if that is less.
    pub(crate) fn rounds(&self, rounds: u32) -> u32 {
        rounds.min(self.most_rounds)
    }

    /// Returns the functions' URL of the database `name`.
    pub(crate) fn database(&self, name: &str) -> anyhow::Result<String> {
        database::url(&self.role, name)
    }

    /// Creates the database `name` with `rows` messages.
    pub(crate) fn make_database(&self, name: &str, rows: u64) -> anyhow::Result<()> {
        self.tokio.block_on(database::make(&self.cluster, name, rows))
    }

    /// Drops the database `name`.
    pub(crate) fn drop_database(&self, name: &str) -> anyhow::Result<()> {
        self.tokio.block_on(database::drop(&self.cluster, name))
    }

    /// Runs SQL in the database `name`, as the superuser.
    pub(crate) fn run_sql(&self, name: &str, sql: &str) -> anyhow::Result<()> {
        self.tokio.block_on(database::run(&database::url(&self.cluster, name)?, sql))
    }

    /// Returns the rows of one statement in the database [`WARM`], run as the superuser.
    pub(crate) fn query(&self, sql: &str) -> anyhow::Result<Vec<Row>> {
        self.tokio.block_on(database::query(&database::url(&self.cluster, WARM)?, sql))
    }

    /// Returns the implementations that exist for a route. Ours comes first.
    pub(crate) fn implementations(&self, route: &str) -> Vec<Implementation> {
        let mut implementations = vec![Implementation::Ours, Implementation::Named];
        let in_baseline = self.baseline.as_ref().is_some_and(|folder| folder.join(route).exists());
        implementations.extend(in_baseline.then_some(Implementation::Baseline));
        implementations.extend(IN_NODE.contains(&route).then_some(Implementation::Node));
        implementations
    }

    /// Starts a function on the database at `database_url`.
    pub(crate) fn start(
        &self,
        implementation: Implementation,
        name: &str,
        database_url: &str,
    ) -> anyhow::Result<Function> {
        let command = match implementation {
            Implementation::Ours | Implementation::Named => Command::new(self.binaries.join(name)),
            Implementation::Baseline => {
                Command::new(self.baseline.as_ref().context("BASELINE isn't set")?.join(name))
            }
            Implementation::Node => {
                let mut node = Command::new(&self.node);
                node.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("node/main.mjs"));
                node
            }
        };
        let variables = [
            ("DATABASE_URL", database_url.to_owned()),
            ("DATABASE_NAMED_STATEMENTS", (implementation == Implementation::Named).to_string()),
            ("SUPABASE_URL", self.supabase.clone()),
            ("SUPABASE_ANON_KEY", "anon".to_owned()),
            ("SUPABASE_SERVICE_ROLE_KEY", "sb_secret_bench".to_owned()),
            ("WEBHOOK_ALLOW_PRIVATE", "true".to_owned()),
            ("WEBHOOK_RETENTION_DAYS", "30".to_owned()),
            ("STORAGE_BUCKET", "chat".to_owned()),
            ("STORAGE_REGION", "local".to_owned()),
            ("STORAGE_ACCESS_KEY_ID", "bench".to_owned()),
            ("STORAGE_SECRET_ACCESS_KEY", "bench".to_owned()),
        ];
        Function::start(command, name, &variables)
    }

    /// Returns the process ids of the Postgres backends that serve functions on the database [`WARM`].
    pub(crate) fn backends(&self) -> anyhow::Result<BTreeSet<i32>> {
        let sql = format!(
            "select pid from pg_stat_activity
            where datname = '{WARM}' and usename <> current_user and application_name <> 'pgbench'"
        );
        self.query(&sql)?.iter().map(|row| Ok(row.try_get(0)?)).collect()
    }

    /// Runs one round of pgbench on the database [`WARM`].
    pub(crate) fn pgbench_round(
        &self,
        protocol: Protocol,
        statement: &str,
        first: u64,
    ) -> anyhow::Result<Sample> {
        let url = self.database(WARM)?;
        let mut sample = self.pgbench.run(&url, protocol, statement, first, REQUESTS, WARM_UP)?;
        let marks = self.query(
            "with marks as (delete from public.marks returning cpu)
            select (max(cpu) - min(cpu))::double precision / 1000 from marks",
        )?;
        let backend: f64 = marks.first().context("marks")?.try_get(0)?;
        sample.backend = backend / f64::from(REQUESTS);
        Ok(sample)
    }
}

fn find_node() -> anyhow::Result<PathBuf> {
    let node = Command::new("node").args(["--print", "process.execPath"]).output();
    let path = node.context("Node.js is missing: run `make setup`")?.stdout;
    Ok(String::from_utf8(path)?.trim().into())
}
