//! The database of a run: a given Postgres or a private cluster, with or without a pooler and TLS.

use crate::certificates::Certificates;
use crate::faults::Faults;
use crate::options::{Options, project};
use crate::pooler::Pooler;
use crate::postgres::{self, Cluster, FUNCTIONS_ROLE};
use crate::supabase;
use anyhow::Context;
use nix::sys::signal::Signal;
use std::fs;
use std::sync::Arc;

/// The error of a given Postgres that doesn't run, such as the private one of an earlier run, from its `.local/env`.
const NO_CONNECTION: &str = "DATABASE_URL must be the URL of a running Postgres, or unset (`unset DATABASE_URL`) to start a private one";

/// Postgres, and the pooler in front of it if there is one.
pub(crate) struct Database {
    /// The superuser's URL, without the pooler.
    pub(crate) url: String,
    /// The functions' URL. In a private cluster they have a role of their own.
    pub(crate) function_url: String,
    pub(crate) tls: Option<Certificates>,
    cluster: Option<Arc<Cluster>>,
    pooler: Option<Arc<Pooler>>,
}

impl Database {
    /// Starts the servers that the options ask for, and creates the schema and the demo tenants.
    pub(crate) async fn start(options: &Options) -> anyhow::Result<Self> {
        if let Some(url) = &options.database_url {
            prepare_database(url).await?;
            return Ok(Self {
                url: url.clone(),
                function_url: url.clone(),
                tls: None,
                cluster: None,
                pooler: None,
            });
        }
        let tls = if options.database_tls {
            Some(Certificates::make(&options.servers_dir.join("tls"))?)
        } else {
            None
        };
        let cluster = Cluster::start(options, tls.as_ref()).await?;
        prepare_database(cluster.url()).await?;
        let log_in = format!("alter role {FUNCTIONS_ROLE} login");
        postgres::connect(cluster.url()).await?.batch_execute(&log_in).await?;
        let pooler = if options.pooler {
            Some(Arc::new(Pooler::start(options, cluster.port(), tls.as_ref()).await?))
        } else {
            None
        };
        let port = pooler.as_ref().map_or(cluster.port(), |pooler| pooler.port());
        let (host, mode) = match tls {
            Some(_) => ("localhost".to_owned(), "verify-full"),
            None => (options.reachable_host().to_string(), "disable"),
        };
        Ok(Self {
            url: cluster.url().to_owned(),
            function_url: format!("postgres://{FUNCTIONS_ROLE}:local@{host}:{port}/postgres?sslmode={mode}"),
            tls,
            cluster: Some(Arc::new(cluster)),
            pooler,
        })
    }

    /// Returns the control with which tests stop and start the servers.
    pub(crate) fn faults(&self) -> Faults {
        Faults::new(self.cluster.clone(), self.pooler.clone())
    }

    pub(crate) async fn stop(&self) {
        if let Some(pooler) = &self.pooler {
            pooler.stop(Signal::SIGKILL).await;
        }
        if let Some(cluster) = &self.cluster {
            cluster.stop(Signal::SIGINT).await;
        }
    }
}

async fn prepare_database(url: &str) -> anyhow::Result<()> {
    let mut client = postgres::connect(url).await.context(NO_CONNECTION)?;
    client.batch_execute(supabase::DATABASE).await.context("Realtime's schema")?;
    admin::migrate(&mut client).await.context("supabase/migrations")?;
    let seed = fs::read_to_string(project().join("supabase/seed.sql"))?;
    client.batch_execute(&seed).await.context("supabase/seed.sql")
}
