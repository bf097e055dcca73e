//! What all measurements share: the binaries, their settings, the databases and pgbench.

use crate::function::Function;
use crate::pgbench::Pgbench;
use crate::{database, http};
use anyhow::Context;
use std::fs;
use std::path::PathBuf;
use tokio::runtime::{Builder, Runtime};

/// The database of all measurements but scale, and its messages.
pub(crate) const WARM: &str = "bench_warm";
pub(crate) const WARM_ROWS: u64 = 100_000;

/// An address at which no database answers.
pub(crate) const NO_DATABASE: &str = "postgres://bench@127.0.0.1:1/bench?sslmode=disable";

/// The place where measurements run.
pub(crate) struct Lab {
    /// Where reports go, and pgbench's files.
    pub(crate) folder: PathBuf,
    /// Where the release binaries are, this one among them.
    pub(crate) binaries: PathBuf,
    pub(crate) pgbench: Pgbench,
    cluster: String,
    supabase: String,
    tokio: Runtime,
}

impl Lab {
    /// Finds everything; `local` has set `DATABASE_URL`.
    pub(crate) fn open() -> anyhow::Result<Self> {
        let cluster =
            std::env::var("DATABASE_URL").context("DATABASE_URL is missing: start this with `make bench`")?;
        let program = std::env::current_exe()?;
        let binaries = program.parent().context("a folder of binaries")?;
        let folder = binaries.parent().context("a target folder")?.join("bench");
        fs::create_dir_all(&folder)?;
        Ok(Self {
            pgbench: Pgbench::find(&folder, &cluster)?,
            folder,
            binaries: binaries.to_owned(),
            cluster,
            supabase: http::supabase()?,
            tokio: Builder::new_current_thread().enable_all().build()?,
        })
    }

    /// The address of the database `name`.
    pub(crate) fn database(&self, name: &str) -> anyhow::Result<String> {
        database::url(&self.cluster, name)
    }

    /// Makes the database `name` with `rows` messages.
    pub(crate) fn make_database(&self, name: &str, rows: u64) -> anyhow::Result<()> {
        self.tokio.block_on(database::make(&self.cluster, name, rows))
    }

    /// Drops the database `name`.
    pub(crate) fn drop_database(&self, name: &str) -> anyhow::Result<()> {
        self.tokio.block_on(database::drop(&self.cluster, name))
    }

    /// Runs SQL in the database `name`.
    pub(crate) fn run_sql(&self, name: &str, sql: &str) -> anyhow::Result<()> {
        self.tokio.block_on(database::run(&self.database(name)?, sql))
    }

    /// Starts a function on the database at `database_url`.
    pub(crate) fn start(&self, name: &str, database_url: &str) -> anyhow::Result<Function> {
        let variables = [
            ("DATABASE_URL", database_url.to_owned()),
            ("SUPABASE_URL", self.supabase.clone()),
            ("SUPABASE_ANON_KEY", "anon".to_owned()),
            ("SUPABASE_SERVICE_ROLE_KEY", "sb_secret_bench".to_owned()),
            ("WEBHOOK_ALLOW_PRIVATE", "1".to_owned()),
            ("WEBHOOK_RETENTION_DAYS", "30".to_owned()),
            ("STORAGE_BUCKET", "chat".to_owned()),
            ("STORAGE_REGION", "local".to_owned()),
            ("STORAGE_ACCESS_KEY_ID", "bench".to_owned()),
            ("STORAGE_SECRET_ACCESS_KEY", "bench".to_owned()),
        ];
        Function::start(&self.binaries, name, &variables)
    }
}
