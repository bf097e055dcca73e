//! What the environment asks of the local cloud: addresses, folders and switches. All have defaults.

use crate::process::unprivileged_user;
use anyhow::{Context, bail};
use std::env;
use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

/// The name that containers know this machine by.
pub(crate) const CONTAINERS_NAME: &str = "host.docker.internal";

/// The settings of one run. The fields' names are the variables' names.
#[expect(clippy::struct_excessive_bools, reason = "each is a variable of its own")]
pub(crate) struct Config {
    /// The address that everything binds to.
    pub(crate) host: IpAddr,
    /// Ports; 0 picks a free one.
    pub(crate) api_port: u16,
    pub(crate) supabase_port: u16,
    pub(crate) postgres_port: u16,
    /// Where all data, logs and the written settings live; absolute.
    pub(crate) data_dir: PathBuf,
    /// Where Postgres and its pooler have their files: below `data_dir`, unless the user that they run as can't go there.
    pub(crate) servers_dir: PathBuf,
    /// Cargo's target folder.
    pub(crate) target: PathBuf,
    /// Which of its profiles the functions are taken from: release or dev.
    pub(crate) release: bool,
    /// A Postgres to use in place of a private cluster.
    pub(crate) database_url: Option<String>,
    /// More settings for the private cluster, each `name=value`.
    pub(crate) postgres_settings: Vec<String>,
    /// Enforce the size limits of Lambda and the gateway.
    pub(crate) aws_limits: bool,
    /// Stop idle functions, as Lambda freezes them.
    pub(crate) freeze: bool,
    /// Functions reach Postgres through pgbouncer in transaction mode.
    pub(crate) pooler: bool,
    /// Functions reach Postgres over TLS.
    pub(crate) database_tls: bool,
    pub(crate) no_build: bool,
    /// The pause between runs of a scheduled function.
    pub(crate) schedule: Duration,
    /// Serve the demo and the API reference beside the API.
    pub(crate) pages: bool,
}

impl Config {
    /// Reads the environment.
    pub(crate) fn from_env() -> anyhow::Result<Self> {
        let release = match env::var("PROFILE").as_deref() {
            Ok("release") => true,
            Ok("dev" | "") | Err(_) => false,
            Ok(other) => bail!("PROFILE is dev or release, not {other}"),
        };
        let data_dir = std::path::absolute(variable("DATA_DIR", project().join(".local"))?)?;
        let config = Self {
            host: variable("HOST", IpAddr::V4(Ipv4Addr::LOCALHOST))?,
            api_port: variable("API_PORT", 3000)?,
            supabase_port: variable("SUPABASE_PORT", 54321)?,
            postgres_port: variable("POSTGRES_PORT", 54322)?,
            servers_dir: servers_dir(&data_dir),
            data_dir,
            target: target_folder()?,
            release,
            database_url: env::var("DATABASE_URL").ok().filter(|url| !url.is_empty()),
            postgres_settings: variable("POSTGRES_SETTINGS", String::new())?
                .split_whitespace()
                .map(str::to_owned)
                .collect(),
            aws_limits: switch("AWS_LIMITS", false)?,
            freeze: switch("FREEZE", true)?,
            pooler: switch("POOLER", false)?,
            database_tls: switch("DATABASE_TLS", false)?,
            no_build: switch("NO_BUILD", false)?,
            schedule: Duration::from_secs(variable("SCHEDULE_SECONDS", 2)?),
            pages: switch("PAGES", false)?,
        };
        if config.database_url.is_some() && (config.pooler || config.database_tls) {
            bail!(
                "POOLER and DATABASE_TLS are about the private Postgres: leave DATABASE_URL unset with them"
            );
        }
        Ok(config)
    }

    /// Where cargo puts the functions.
    pub(crate) fn binaries(&self) -> PathBuf {
        self.target.join(if self.release { "release" } else { "debug" })
    }

    /// The address under which this machine reaches what binds to `host`.
    pub(crate) fn reachable_host(&self) -> IpAddr {
        if self.host.is_unspecified() { Ipv4Addr::LOCALHOST.into() } else { self.host }
    }
}

/// Root's home is closed to others, and servers don't run as root: theirs is a folder of its own then.
fn servers_dir(data_dir: &Path) -> PathBuf {
    match unprivileged_user() {
        Some(user) if !may_enter(data_dir, user.uid.as_raw()) => {
            let name = data_dir.to_string_lossy().trim_matches('/').replace('/', "-");
            Path::new("/var/lib/tinychat").join(name)
        }
        _ => data_dir.to_owned(),
    }
}

/// Whether a user that is in no group of interest may enter a folder, or will when it is there.
fn may_enter(folder: &Path, user: u32) -> bool {
    folder.ancestors().filter_map(|folder| folder.metadata().ok()).all(|folder| {
        let bit = if folder.uid() == user { 0o100 } else { 0o001 };
        folder.mode() & bit != 0
    })
}

/// Binds a port of this run. `name` is the variable that sets it.
pub(crate) fn bind(host: IpAddr, port: u16, name: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind((host, port)).with_context(|| {
        format!("can't listen on {host}:{port}; set {name} to another port (0 picks a free one)")
    })
}

/// A port that is free now, for a program that binds it itself.
pub(crate) fn free_port(host: IpAddr, port: u16, name: &str) -> anyhow::Result<u16> {
    Ok(bind(host, port, name)?.local_addr()?.port())
}

/// The root of the project, where template.yaml is.
pub(crate) fn project() -> &'static Path {
    let local = Path::new(env!("CARGO_MANIFEST_DIR"));
    local.parent().unwrap_or(local)
}

/// Cargo's target folder: the one that this program was built into.
fn target_folder() -> anyhow::Result<PathBuf> {
    let program = env::current_exe()?;
    let folder = program.parent().and_then(Path::parent);
    Ok(folder.context("this program is in no target folder")?.to_owned())
}

fn switch(name: &str, default: bool) -> anyhow::Result<bool> {
    Ok(variable(name, u8::from(default)).with_context(|| format!("{name} is 1 or 0"))? != 0)
}

fn variable<T>(name: &str, default: T) -> anyhow::Result<T>
where
    T: FromStr<Err: std::error::Error + Send + Sync + 'static>,
{
    match env::var(name) {
        Ok(text) if !text.is_empty() => text.parse().with_context(|| format!("{name}={text}")),
        _ => Ok(default),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{Permissions, set_permissions};
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_folder_below_a_closed_one_cant_be_entered_by_others() {
        let home = env::temp_dir().join(format!("tinychat-{}", std::process::id()));
        std::fs::create_dir(&home).unwrap();
        let (owner, folder) = (home.metadata().unwrap().uid(), home.join("tinychat/.local"));
        for (mode, others) in [(0o700, false), (0o711, true)] {
            set_permissions(&home, Permissions::from_mode(mode)).unwrap();
            assert!(may_enter(&folder, owner));
            assert_eq!(may_enter(&folder, owner + 1), others, "{mode:o}");
        }
        std::fs::remove_dir(&home).unwrap();
    }
}
