//! pgbouncer in transaction mode, as Supabase's pooler behaves.

use crate::certificates::Certificates;
use crate::config::{Config, free_port};
use crate::database::FUNCTIONS_ROLE;
use crate::process::{Service, unprivileged_command};
use anyhow::bail;
use nix::sys::signal::Signal;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::net::TcpStream;

/// How long it refuses clients after it couldn't reach Postgres.
const LOGIN_RETRY: Duration = Duration::from_millis(50);

/// A running pgbouncer.
pub(crate) struct Pooler {
    service: Service,
    address: SocketAddr,
}

impl Pooler {
    /// Starts it in front of the Postgres on `postgres_port`.
    pub(crate) async fn start(
        config: &Config,
        postgres_port: u16,
        tls: Option<&Certificates>,
    ) -> anyhow::Result<Self> {
        let Some(program) = find_program() else {
            bail!("POOLER=1 needs pgbouncer: `apt-get install pgbouncer` (Debian, Ubuntu)");
        };
        let port = free_port(config.host, 0, "")?;
        let file = config.servers_dir.join("pgbouncer.ini");
        std::fs::write(&file, settings(config, port, postgres_port, tls)?)?;
        let log = std::fs::File::create(config.data_dir.join("logs/pgbouncer.log"))?;
        let service = Service::start(move || {
            let mut command = unprivileged_command(program, Signal::SIGTERM);
            command.arg(&file).current_dir("/").stdin(Stdio::null());
            if let (Ok(output), Ok(errors)) = (log.try_clone(), log.try_clone()) {
                command.stdout(output).stderr(errors);
            }
            command
        });
        let pooler = Self { service, address: (config.reachable_host(), port).into() };
        pooler.ready().await?;
        Ok(pooler)
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// Stops it: with SIGINT in order, with SIGKILL as in a crash.
    pub(crate) async fn stop(&self, signal: Signal) {
        self.service.stop(signal).await;
    }

    /// Starts it again.
    pub(crate) async fn resume(&self) -> anyhow::Result<()> {
        self.service.resume().await;
        self.ready().await
    }

    async fn ready(&self) -> anyhow::Result<()> {
        while TcpStream::connect(self.address).await.is_err() {
            if !self.service.is_running() {
                bail!("pgbouncer doesn't start: see logs/pgbouncer.log");
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        tokio::time::sleep(LOGIN_RETRY).await;
        Ok(())
    }
}

fn find_program() -> Option<&'static Path> {
    let places = ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer", "/usr/local/bin/pgbouncer"];
    places.into_iter().map(Path::new).find(|path| path.is_file())
}

fn settings(
    config: &Config,
    port: u16,
    postgres_port: u16,
    tls: Option<&Certificates>,
) -> Result<String, std::fmt::Error> {
    let mut text = format!(
        "[databases]
* = host={host} port={postgres_port} user={FUNCTIONS_ROLE}
[pgbouncer]
listen_addr = {listen}
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
max_client_conn = 1000
default_pool_size = 20
server_login_retry = {retry}
ignore_startup_parameters = extra_float_digits
",
        host = config.reachable_host(),
        listen = config.host,
        retry = LOGIN_RETRY.as_secs_f32(),
    );
    if let Some(tls) = tls {
        writeln!(text, "client_tls_sslmode = require")?;
        writeln!(text, "client_tls_cert_file = {}", tls.certificate.display())?;
        writeln!(text, "client_tls_key_file = {}", tls.key.display())?;
    }
    Ok(text)
}
