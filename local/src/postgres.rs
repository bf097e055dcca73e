//! Postgres: a private cluster, run from the server binaries of the system.

use crate::certificates::Certificates;
use crate::options::{Options, free_port};
use crate::process::{Service, bound_command, chown_to_server_user, unprivileged_command};
use anyhow::{Context, bail};
use nix::sys::signal::Signal;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;
use tokio::time::Instant;
use tokio_postgres::{Client, NoTls};

/// The role that the functions log in as. supabase/migrations creates it.
pub(crate) const FUNCTIONS_ROLE: &str = "tinychat_functions";

const START_TIMEOUT: Duration = Duration::from_mins(1);

/// Trusts the machine's own users and Docker's networks, as Supabase's local stack does. The port listens on the loopback
/// address unless HOST is set, so other machines have no access. Members of the role `password_required`, which tests create,
/// need a password.
const HOST_BASED_AUTHENTICATION: &str = "\
host all +password_required all scram-sha-256
host all all 127.0.0.0/8 trust
host all all ::1/128 trust
host all all 10.0.0.0/8 trust
host all all 172.16.0.0/12 trust
host all all 192.168.0.0/16 trust
";

/// A running private cluster.
pub(crate) struct Cluster {
    service: Service,
    log: PathBuf,
    url: String,
    port: u16,
}

impl Cluster {
    /// Stops a server that a killed run has left running, creates the cluster if it doesn't exist or has to be fresh, and
    /// starts the server.
    pub(crate) async fn start(options: &Options, tls: Option<&Certificates>) -> anyhow::Result<Self> {
        let binaries = find_binaries().await?;
        let folder = &options.servers_dir;
        std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        let data = folder.join("postgres");
        let exists = || data.join("PG_VERSION").exists();
        if exists() {
            stop_leftover(&binaries, &data).await?;
            if options.fresh {
                std::fs::remove_dir_all(&data).with_context(|| data.display().to_string())?;
            }
        }
        if !exists() {
            initialize(&binaries, &data).await?;
        }
        let port = free_port(options.host, options.postgres_port, "POSTGRES_PORT")?;
        let rules = data.join("pg_hba.conf");
        std::fs::write(&rules, HOST_BASED_AUTHENTICATION)?;
        let log = options.data_dir.join("logs/postgres.log");
        let settings = settings(options, port, tls);
        let program = binaries.join("postgres");
        let log_file = log.clone();
        let service = Service::start(move || {
            // SIGINT makes Postgres shut down in order and fast.
            let mut command = unprivileged_command(&program, Signal::SIGINT);
            command.arg("-D").arg(&data).args(&settings).current_dir(&data);
            command.stdin(Stdio::null()).stdout(append(&log_file)).stderr(append(&log_file));
            command
        });
        let url = format!(
            "postgres://postgres:postgres@{}:{port}/postgres?sslmode=disable",
            options.reachable_host()
        );
        let cluster = Self { service, log, url, port };
        cluster.ready().await?;
        Ok(cluster)
    }

    /// Returns the superuser's URL, without TLS.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Stops Postgres: in order with SIGINT, as in a crash with SIGQUIT.
    pub(crate) async fn stop(&self, signal: Signal) {
        self.service.stop(signal).await;
    }

    /// Starts Postgres again.
    pub(crate) async fn resume(&self) -> anyhow::Result<()> {
        self.service.resume().await;
        self.ready().await
    }

    async fn ready(&self) -> anyhow::Result<()> {
        let deadline = Instant::now() + START_TIMEOUT;
        while let Err(error) = connect(&self.url).await {
            if !self.service.is_running() || Instant::now() > deadline {
                let log = std::fs::read_to_string(&self.log).unwrap_or_default();
                let lines: Vec<_> = log.lines().rev().take(5).collect();
                let tail: Vec<_> = lines.into_iter().rev().collect();
                return Err(error)
                    .context(format!("Postgres can't start. The end of its log:\n{}", tail.join("\n")));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }
}

/// Connects to a database without TLS.
pub(crate) async fn connect(url: &str) -> Result<Client, tokio_postgres::Error> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

fn settings(options: &Options, port: u16, tls: Option<&Certificates>) -> Vec<String> {
    let mut settings = vec![
        format!("port={port}"),
        format!("listen_addresses={}", options.host),
        "unix_socket_directories=".to_owned(),
        "max_connections=500".to_owned(), // each process of each function has one
        "log_timezone=UTC".to_owned(),
        "timezone=UTC".to_owned(),
    ];
    if let Some(tls) = tls {
        settings.push("ssl=on".to_owned());
        settings.push(format!("ssl_cert_file={}", tls.certificate.display()));
        settings.push(format!("ssl_key_file={}", tls.key.display()));
    }
    settings.extend(options.postgres_settings.iter().cloned());
    settings.into_iter().flat_map(|setting| ["-c".to_owned(), setting]).collect()
}

/// Creates a cluster in another folder, and renames the folder when the cluster is complete.
async fn initialize(binaries: &Path, data: &Path) -> anyhow::Result<()> {
    let unfinished = data.with_extension("new");
    if unfinished.exists() {
        std::fs::remove_dir_all(&unfinished)?;
    }
    std::fs::create_dir(&unfinished)?;
    chown_to_server_user(&unfinished)?;
    let mut initdb = unprivileged_command(&binaries.join("initdb"), Signal::SIGKILL);
    initdb.arg("-D").arg(&unfinished).current_dir(&unfinished);
    initdb.args(["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8"]);
    run(initdb).await.with_context(|| format!("initdb in {}", data.display()))?;
    Ok(std::fs::rename(&unfinished, data)?)
}

/// Stops a server that an earlier run has left running. `DATA_DIR` is locked, so no other run uses it.
async fn stop_leftover(binaries: &Path, data: &Path) -> anyhow::Result<()> {
    if data.join("postmaster.pid").exists() {
        let mut pg_ctl = unprivileged_command(&binaries.join("pg_ctl"), Signal::SIGKILL);
        pg_ctl.args(["stop", "--mode=fast", "--wait", "-D"]).arg(data).current_dir(data);
        let _already_gone = run(pg_ctl).await;
    }
    Ok(())
}

async fn run(mut command: Command) -> anyhow::Result<()> {
    let output = command.stdin(Stdio::null()).output().await?;
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

fn append(path: &Path) -> Stdio {
    let file = std::fs::OpenOptions::new().create(true).append(true).open(path);
    file.map_or_else(|_| Stdio::null(), Stdio::from)
}

/// Finds the folder of the server's programs: that of `pg_config`, the newest of Debian's, or one in PATH.
async fn find_binaries() -> anyhow::Result<PathBuf> {
    let mut folders = Vec::new();
    let mut pg_config = bound_command(Path::new("pg_config"), Signal::SIGKILL);
    if let Ok(output) = pg_config.arg("--bindir").output().await {
        folders.push(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()));
    }
    if let Ok(versions) = std::fs::read_dir("/usr/lib/postgresql") {
        let mut versions: Vec<_> = versions.flatten().map(|version| version.path()).collect();
        versions.sort_by_key(|path| path.file_name().and_then(|name| name.to_str()?.parse::<u32>().ok()));
        folders.extend(versions.into_iter().rev().map(|version| version.join("bin")));
    }
    folders.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
    folders
        .into_iter()
        .find(|folder| ["postgres", "initdb", "pg_ctl"].iter().all(|name| folder.join(name).is_file()))
        .context(
            "no Postgres server found: `apt-get install postgresql` (Debian, Ubuntu), or set DATABASE_URL to a running one",
        )
}
