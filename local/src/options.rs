//! The options of a run: addresses, folders and switches from environment variables. All have defaults.

use crate::process::unprivileged_user;
use anyhow::{Context, bail};
use std::env;
use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

/// The name of this machine inside containers.
pub(crate) const CONTAINERS_NAME: &str = "host.docker.internal";

/// The options of one run. Each field has the name of its variable.
#[expect(clippy::struct_excessive_bools, reason = "each is a variable of its own")]
pub(crate) struct Options {
    /// The address that all servers listen on.
    pub(crate) host: IpAddr,
    /// Ports. 0 chooses a free one.
    pub(crate) api_port: u16,
    pub(crate) supabase_port: u16,
    pub(crate) postgres_port: u16,
    /// The folder of all data, logs and exported settings, as an absolute path.
    pub(crate) data_dir: PathBuf,
    /// The folder of Postgres' and PgBouncer's files. It is `data_dir`, unless their user has no access to it.
    pub(crate) servers_dir: PathBuf,
    /// Cargo's target folder.
    pub(crate) target: PathBuf,
    /// Whether the functions are built with the release profile.
    pub(crate) release: bool,
    /// The URL of a Postgres to use instead of a private cluster.
    pub(crate) database_url: Option<String>,
    /// Additional settings of the private cluster, each `name=value`.
    pub(crate) postgres_settings: Vec<String>,
    /// Whether the limits of Lambda and API Gateway are enforced.
    pub(crate) aws_limits: bool,
    /// Whether idle functions are stopped, as Lambda freezes them.
    pub(crate) freeze: bool,
    /// Whether functions connect to Postgres through PgBouncer in transaction mode.
    pub(crate) pooler: bool,
    /// Whether functions connect to Postgres over TLS.
    pub(crate) database_tls: bool,
    /// Whether the database and the files of an earlier run are removed.
    pub(crate) fresh: bool,
    /// Whether the build of the functions is skipped.
    pub(crate) no_build: bool,
    /// Whether conversations are private channels and Realtime refuses public ones.
    pub(crate) realtime_private: bool,
    /// The pause between runs of a scheduled function.
    pub(crate) schedule: Duration,
    /// Whether the demo and the API reference are served, too.
    pub(crate) pages: bool,
}

impl Options {
    /// Reads the environment variables.
    pub(crate) fn from_env() -> anyhow::Result<Self> {
        let profile = |text: &str| match text {
            "release" => Some(true),
            "dev" => Some(false),
            _ => None,
        };
        let release = parse("PROFILE", text("PROFILE"), "`dev` or `release`", profile)?.unwrap_or_default();
        let data_dir = text("DATA_DIR").map_or_else(|| project().join(".local"), PathBuf::from);
        let data_dir = std::path::absolute(data_dir)?;
        let port = "a port from 0 to 65535";
        let options = Self {
            host: variable("HOST", IpAddr::V4(Ipv4Addr::LOCALHOST), "an IP address")?,
            api_port: variable("API_PORT", 3000, port)?,
            supabase_port: variable("SUPABASE_PORT", 54321, port)?,
            postgres_port: variable("POSTGRES_PORT", 54322, port)?,
            servers_dir: servers_dir(&data_dir),
            data_dir,
            target: target_folder()?,
            release,
            database_url: text("DATABASE_URL"),
            postgres_settings: text("POSTGRES_SETTINGS")
                .unwrap_or_default()
                .split_whitespace()
                .map(str::to_owned)
                .collect(),
            aws_limits: switch("AWS_LIMITS", false)?,
            freeze: switch("FREEZE", true)?,
            pooler: switch("POOLER", false)?,
            database_tls: switch("DATABASE_TLS", false)?,
            fresh: switch("FRESH", false)?,
            no_build: switch("NO_BUILD", false)?,
            realtime_private: variable("REALTIME_PRIVATE", false, "`true` or `false`")?,
            schedule: Duration::from_secs(variable("SCHEDULE_SECONDS", 2, "a number of seconds")?),
            pages: switch("PAGES", false)?,
        };
        if options.database_url.is_some() && (options.pooler || options.database_tls) {
            bail!("POOLER and DATABASE_TLS need the private Postgres: DATABASE_URL must be unset");
        }
        Ok(options)
    }

    /// Returns the folder of the functions' binaries.
    pub(crate) fn binaries(&self) -> PathBuf {
        self.target.join(if self.release { "release" } else { "debug" })
    }

    /// Returns the address at which this machine reaches a server that listens on `host`.
    pub(crate) fn reachable_host(&self) -> IpAddr {
        if self.host.is_unspecified() { Ipv4Addr::LOCALHOST.into() } else { self.host }
    }
}

/// Returns the folder of the servers' files. The servers don't run as root. If their user has no access to `data_dir`, for
/// example because it is in root's home, the folder is elsewhere.
fn servers_dir(data_dir: &Path) -> PathBuf {
    match unprivileged_user() {
        Some(user) if !has_access(data_dir, user.uid.as_raw()) => {
            let name = data_dir.to_string_lossy().trim_matches('/').replace('/', "-");
            Path::new("/var/lib/tinychat").join(name)
        }
        _ => data_dir.to_owned(),
    }
}

/// Whether a user has access to a folder that may not exist yet. Permissions of groups are ignored.
fn has_access(folder: &Path, user: u32) -> bool {
    folder.ancestors().filter_map(|folder| folder.metadata().ok()).all(|folder| {
        let bit = if folder.uid() == user { 0o100 } else { 0o001 };
        folder.mode() & bit != 0
    })
}

/// Binds a port. `name` is the variable that sets it.
pub(crate) fn bind(host: IpAddr, port: u16, name: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind((host, port)).with_context(|| {
        format!("can't listen on {host}:{port}: set {name} to another port, or to 0 for a free one")
    })
}

/// Returns a port that is free now, for a program that binds it itself.
pub(crate) fn free_port(host: IpAddr, port: u16, name: &str) -> anyhow::Result<u16> {
    Ok(bind(host, port, name)?.local_addr()?.port())
}

/// Returns the root folder of the project, which contains template.yaml.
pub(crate) fn project() -> &'static Path {
    let local = Path::new(env!("CARGO_MANIFEST_DIR"));
    local.parent().unwrap_or(local)
}

/// Returns cargo's target folder, which contains this program.
fn target_folder() -> anyhow::Result<PathBuf> {
    let program = env::current_exe()?;
    let folder = program.parent().and_then(Path::parent);
    Ok(folder.context("this program isn't in cargo's target folder")?.to_owned())
}

/// Returns the value of a variable, or `default` if it is unset or empty.
fn variable<T: FromStr>(name: &str, default: T, accepted: &str) -> anyhow::Result<T> {
    parse(name, text(name), accepted, |text| text.parse().ok()).map(|value| value.unwrap_or(default))
}

/// Returns the value of a variable that is `1` or `0`, or `default` if it is unset or empty.
fn switch(name: &str, default: bool) -> anyhow::Result<bool> {
    parse(name, text(name), "`1` or `0`", parse_switch).map(|value| value.unwrap_or(default))
}

/// Returns a variable's text, or `None` if it is unset or empty.
fn text(name: &str) -> Option<String> {
    env::var(name).ok().filter(|text| !text.is_empty())
}

fn parse<T>(
    name: &str,
    text: Option<String>,
    accepted: &str,
    parse: impl FnOnce(&str) -> Option<T>,
) -> anyhow::Result<Option<T>> {
    let Some(text) = text else { return Ok(None) };
    parse(&text).map(Some).with_context(|| format!("{name} must be {accepted}, not `{text}`"))
}

fn parse_switch(text: &str) -> Option<bool> {
    match text {
        "1" => Some(true),
        "0" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{Permissions, set_permissions};
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_switch_is_1_or_0() {
        let value = |text: &str| parse("FREEZE", Some(text.to_owned()), "`1` or `0`", parse_switch);
        assert_eq!(value("1").unwrap(), Some(true));
        assert_eq!(value("0").unwrap(), Some(false));
        for text in ["2", "01", "true", "yes", " 1"] {
            let error = value(text).unwrap_err().to_string();
            assert_eq!(error, format!("FREEZE must be `1` or `0`, not `{text}`"));
        }
    }

    #[test]
    fn other_users_have_no_access_below_a_closed_folder() {
        let home = env::temp_dir().join(format!("tinychat-{}", std::process::id()));
        std::fs::create_dir(&home).unwrap();
        let (owner, folder) = (home.metadata().unwrap().uid(), home.join("tinychat/.local"));
        for (mode, others) in [(0o700, false), (0o711, true)] {
            set_permissions(&home, Permissions::from_mode(mode)).unwrap();
            assert!(has_access(&folder, owner));
            assert_eq!(has_access(&folder, owner + 1), others, "{mode:o}");
        }
        std::fs::remove_dir(&home).unwrap();
    }
}
