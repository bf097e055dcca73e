//! The database as a run's settings have it: where it is, whether there is a pooler, whether there is TLS.

use crate::certificates::Certificates;
use crate::config::{Config, project};
use crate::faults::Faults;
use crate::pooler::Pooler;
use crate::postgres::{self, Cluster};
use crate::supabase;
use anyhow::Context;
use nix::sys::signal::Signal;
use std::fs;
use std::sync::Arc;

/// Whom the functions log in as: supabase/migrations has it.
pub(crate) const FUNCTIONS_ROLE: &str = "tinychat_functions";

/// Postgres, and what functions reach it through.
pub(crate) struct Database {
    /// The superuser's, straight to Postgres.
    pub(crate) url: String,
    /// The functions', who have a role of their own in a private Postgres.
    pub(crate) function_url: String,
    pub(crate) tls: Option<Certificates>,
    cluster: Option<Arc<Cluster>>,
    pooler: Option<Arc<Pooler>>,
}

impl Database {
    /// Starts what the configuration asks for, with the schema and the demo tenants in it.
    pub(crate) async fn start(config: &Config) -> anyhow::Result<Self> {
        if let Some(url) = &config.database_url {
            prepare_database(url).await?;
            return Ok(Self {
                url: url.clone(),
                function_url: url.clone(),
                tls: None,
                cluster: None,
                pooler: None,
            });
        }
        let tls = if config.database_tls {
            Some(Certificates::make(&config.servers_dir.join("tls"))?)
        } else {
            None
        };
        let cluster = Cluster::start(config, tls.as_ref()).await?;
        prepare_database(cluster.url()).await?;
        let log_in = format!("alter role {FUNCTIONS_ROLE} login");
        postgres::connect(cluster.url()).await?.batch_execute(&log_in).await?;
        let pooler = if config.pooler {
            Some(Arc::new(Pooler::start(config, cluster.port(), tls.as_ref()).await?))
        } else {
            None
        };
        let port = pooler.as_ref().map_or(cluster.port(), |pooler| pooler.port());
        let (host, mode) = match tls {
            Some(_) => ("localhost".to_owned(), "verify-full"),
            None => (config.reachable_host().to_string(), "disable"),
        };
        Ok(Self {
            url: cluster.url().to_owned(),
            function_url: format!("postgres://{FUNCTIONS_ROLE}:local@{host}:{port}/postgres?sslmode={mode}"),
            tls,
            cluster: Some(Arc::new(cluster)),
            pooler,
        })
    }

    /// The switch with which tests take it down.
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
    let mut client = postgres::connect(url).await.context("DATABASE_URL")?;
    client.batch_execute(supabase::DATABASE).await.context("Realtime's schema")?;
    admin::migrate(&mut client).await.context("supabase/migrations")?;
    let seed = fs::read_to_string(project().join("supabase/seed.sql"))?;
    client.batch_execute(&seed).await.context("supabase/seed.sql")
}
