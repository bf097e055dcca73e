//! Child processes: bound to this one's life, and kept running until they are told to stop.

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, Uid, User};
use std::path::Path;
use std::time::Duration;
use tokio::process::{Child, Command};
use tokio::sync::watch;

/// How long a service that ended by itself stays down: long enough for its peers to notice.
const RESTART_PAUSE: Duration = Duration::from_millis(300);

/// A command whose process gets `signal` when this one ends, however it ends. It has a process group of its own, so
/// that Ctrl-C reaches only this program, which then stops everything in order.
///
/// The kernel ties the signal to the thread that spawns, so only the main thread may; that's why the runtime has
/// no other.
pub(crate) fn bound_command(program: &Path, signal: Signal) -> Command {
    command(program, signal, None)
}

/// Like [`bound_command`], for servers that refuse to run as root.
pub(crate) fn unprivileged_command(program: &Path, signal: Signal) -> Command {
    command(program, signal, unprivileged_user())
}

fn command(program: &Path, signal: Signal, user: Option<User>) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", signal.as_str().trim_start_matches("SIG")]).process_group(0);
    if let Some(user) = user {
        command.arg(format!("--reuid={}", user.uid));
        command.arg(format!("--regid={}", user.gid));
        command.arg("--clear-groups");
    }
    command.arg("--").arg(program);
    command
}

/// Takes away what `cargo run` tells this program about its own package, lest a cargo inside `command` builds anew
/// whatever depends on those variables.
pub(crate) fn forget_cargo(command: &mut Command) -> &mut Command {
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&name);
        }
    }
    command
}

/// Lets this program and its children have as many files open as the system allows at all: every process of a
/// function takes a handful.
pub(crate) fn allow_many_files() -> nix::Result<()> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard)
}

/// Whom servers run as when this program runs as root; none if it doesn't.
pub(crate) fn unprivileged_user() -> Option<User> {
    if !Uid::effective().is_root() {
        return None;
    }
    ["postgres", "nobody"].into_iter().find_map(|name| User::from_name(name).ok().flatten())
}

/// Makes `path` the property of the user that servers run as.
pub(crate) fn hand_over(path: &Path) -> std::io::Result<()> {
    match unprivileged_user() {
        Some(user) => std::os::unix::fs::chown(path, Some(user.uid.as_raw()), Some(user.gid.as_raw())),
        None => Ok(()),
    }
}

/// The process id of a child that still runs.
pub(crate) fn pid(child: &Child) -> Option<Pid> {
    child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw)
}

/// Sends a signal to a child, if it is still there.
pub(crate) fn send(child: &Child, signal: Signal) {
    if let Some(pid) = pid(child) {
        let _gone = kill(pid, signal);
    }
}

/// A server program that is started again whenever it ends without being told to.
pub(crate) struct Service {
    /// The signal to stop it with; none while it shall run.
    stop: watch::Sender<Option<Signal>>,
    running: watch::Receiver<bool>,
}

impl Service {
    /// Starts it.
    pub(crate) fn start(command: impl Fn() -> Command + Send + 'static) -> Self {
        let (stop, stops) = watch::channel(None);
        let (runs, running) = watch::channel(true);
        tokio::spawn(supervise(command, stops, runs));
        Self { stop, running }
    }

    /// Whether its process runs just now.
    pub(crate) fn is_running(&self) -> bool {
        *self.running.borrow()
    }

    /// Stops it with `signal` and waits for its end.
    pub(crate) async fn stop(&self, signal: Signal) {
        self.stop.send_replace(Some(signal));
        self.until_running(false).await;
    }

    /// Starts it again after [`Service::stop`].
    pub(crate) async fn resume(&self) {
        self.stop.send_replace(None);
        self.until_running(true).await;
    }

    async fn until_running(&self, wanted: bool) {
        let mut running = self.running.clone();
        let _program_ends = running.wait_for(|running| *running == wanted).await;
    }
}

async fn supervise(
    command: impl Fn() -> Command,
    mut stops: watch::Receiver<Option<Signal>>,
    runs: watch::Sender<bool>,
) {
    loop {
        if stops.wait_for(Option::is_none).await.is_err() {
            return;
        }
        match command().spawn() {
            Ok(mut child) => {
                runs.send_replace(true);
                run_until_end(&mut child, &mut stops).await;
            }
            Err(error) => eprintln!("can't start {:?}: {error}", command().as_std()),
        }
        runs.send_replace(false);
        tokio::time::sleep(RESTART_PAUSE).await;
    }
}

async fn run_until_end(child: &mut Child, stops: &mut watch::Receiver<Option<Signal>>) {
    tokio::select! {
        _ = child.wait() => return,
        signal = stops.wait_for(Option::is_some) => {
            let signal = signal.ok().and_then(|signal| *signal);
            send(child, signal.unwrap_or(Signal::SIGTERM));
        }
    }
    let _status = child.wait().await;
}
