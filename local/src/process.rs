//! Child processes, which end with this program, and services, which are restarted until they are stopped.

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, Uid, User};
use std::path::Path;
use std::time::Duration;
use tokio::process::{Child, Command};
use tokio::sync::watch;

/// The pause before a service that has ended is restarted. It is long enough for clients to notice the end.
const RESTART_PAUSE: Duration = Duration::from_millis(300);

/// Returns a command whose process gets `signal` when this program ends for any reason. It has a process group of its own:
/// Ctrl-C then reaches only this program, which stops everything in order.
///
/// The kernel sends the signal when the thread that has started the process ends. The async runtime is therefore
/// single-threaded, so that all processes are started by the main thread.
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

/// Removes the variables that `cargo run` sets for this program's package. Otherwise a cargo inside `command` would rebuild
/// everything that depends on them.
pub(crate) fn remove_cargo_variables(command: &mut Command) -> &mut Command {
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&name);
        }
    }
    command
}

/// Raises the limit of open files to the system's maximum, for this program and its children. Each process of a function
/// needs several.
pub(crate) fn raise_open_file_limit() -> nix::Result<()> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard)
}

/// Returns the user that servers run as if this program runs as root, otherwise `None`.
pub(crate) fn unprivileged_user() -> Option<User> {
    if !Uid::effective().is_root() {
        return None;
    }
    ["postgres", "nobody"].into_iter().find_map(|name| User::from_name(name).ok().flatten())
}

/// Makes the user that servers run as the owner of `path`.
pub(crate) fn chown_to_server_user(path: &Path) -> std::io::Result<()> {
    match unprivileged_user() {
        Some(user) => std::os::unix::fs::chown(path, Some(user.uid.as_raw()), Some(user.gid.as_raw())),
        None => Ok(()),
    }
}

/// Returns the process id of a child that is still running.
pub(crate) fn pid(child: &Child) -> Option<Pid> {
    child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw)
}

/// Sends a signal to a child if it is still running.
pub(crate) fn send(child: &Child, signal: Signal) {
    if let Some(pid) = pid(child) {
        let _gone = kill(pid, signal);
    }
}

/// A server program that is restarted whenever it ends without having been stopped.
pub(crate) struct Service {
    /// The signal to stop the process with, or `None` while it must run.
    stop: watch::Sender<Option<Signal>>,
    running: watch::Receiver<bool>,
}

impl Service {
    /// Starts the program.
    pub(crate) fn start(command: impl Fn() -> Command + Send + 'static) -> Self {
        let (stop, stops) = watch::channel(None);
        let (runs, running) = watch::channel(true);
        tokio::spawn(supervise(command, stops, runs));
        Self { stop, running }
    }

    /// Whether the process is running.
    pub(crate) fn is_running(&self) -> bool {
        *self.running.borrow()
    }

    /// Stops the process with `signal` and waits for its end.
    pub(crate) async fn stop(&self, signal: Signal) {
        self.stop.send_replace(Some(signal));
        self.until_running(false).await;
    }

    /// Starts the program again after [`Service::stop`].
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
