//! PgBouncer in transaction mode, in place of Supabase's pooler.

use crate::certificates::Certificates;
use crate::options::{Options, free_port};
use crate::postgres::FUNCTIONS_ROLE;
use crate::process::{Service, unprivileged_command};
use anyhow::bail;
use nix::sys::signal::Signal;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::net::TcpStream;

/// The time for which PgBouncer refuses clients after a failed connection to Postgres.
const LOGIN_RETRY: Duration = Duration::from_millis(50);

/// A running PgBouncer.
pub(crate) struct Pooler {
    service: Service,
    address: SocketAddr,
}

impl Pooler {
    /// Starts PgBouncer in front of the Postgres on `postgres_port`.
    pub(crate) async fn start(
        options: &Options,
        postgres_port: u16,
        tls: Option<&Certificates>,
    ) -> anyhow::Result<Self> {
        let Some(program) = find_program() else {
            bail!("POOLER=1 needs PgBouncer: `apt-get install pgbouncer` (Debian, Ubuntu)");
        };
        let port = free_port(options.host, 0, "")?;
        let file = options.servers_dir.join("pgbouncer.ini");
        std::fs::write(&file, settings(options, port, postgres_port, tls)?)?;
        let log = std::fs::File::create(options.data_dir.join("logs/pgbouncer.log"))?;
        let service = Service::start(move || {
            let mut command = unprivileged_command(program, Signal::SIGTERM);
            command.arg(&file).current_dir("/").stdin(Stdio::null());
            if let (Ok(output), Ok(errors)) = (log.try_clone(), log.try_clone()) {
                command.stdout(output).stderr(errors);
            }
            command
        });
        let pooler = Self { service, address: (options.reachable_host(), port).into() };
        pooler.ready().await?;
        Ok(pooler)
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// Stops PgBouncer: in order with SIGINT, as in a crash with SIGKILL.
    pub(crate) async fn stop(&self, signal: Signal) {
        self.service.stop(signal).await;
    }

    /// Starts PgBouncer again.
    pub(crate) async fn resume(&self) -> anyhow::Result<()> {
        self.service.resume().await;
        self.ready().await
    }

    async fn ready(&self) -> anyhow::Result<()> {
        while TcpStream::connect(self.address).await.is_err() {
            if !self.service.is_running() {
                bail!("PgBouncer can't start: see logs/pgbouncer.log");
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
    options: &Options,
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
        host = options.reachable_host(),
        listen = options.host,
        retry = LOGIN_RETRY.as_secs_f32(),
    );
    if let Some(tls) = tls {
        writeln!(text, "client_tls_sslmode = require")?;
        writeln!(text, "client_tls_cert_file = {}", tls.certificate.display())?;
        writeln!(text, "client_tls_key_file = {}", tls.key.display())?;
    }
    Ok(text)
}
