//! An execution environment: one process of one function. It is busy or frozen.

use super::runtime_api::{Invocation, Outcome, RuntimeApi, router};
use crate::console::Console;
use crate::process::{bound_command, send};
use anyhow::Context;
use nix::sys::signal::Signal;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::net::TcpListener;
use tokio::process::Child;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// Lambda's limit for the time before the runtime's first poll.
const INIT_TIMEOUT: Duration = Duration::from_secs(10);

/// The properties that all processes of a function share.
pub(crate) struct Program {
    pub(crate) name: String,
    pub(crate) binary: PathBuf,
    pub(crate) timeout: Duration,
    pub(crate) variables: BTreeMap<String, String>,
    /// Whether processes are stopped between invocations.
    pub(crate) freeze: bool,
    pub(crate) console: Arc<Console>,
}

/// The reason for a missing outcome. The environment can't be used again.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Failure {
    /// The process couldn't be started, or it ended.
    Died,
    TimedOut,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Died => "the process ended",
            Self::TimedOut => "the timeout was exceeded",
        })
    }
}

/// The process and the API that it polls. Dropping it kills the process.
pub(crate) struct Environment {
    process: Child,
    api: Arc<RuntimeApi>,
    server: JoinHandle<std::io::Result<()>>,
    built: SystemTime,
    deadline: Instant,
}

impl Environment {
    /// Starts a process. It takes its first invocation once it has polled.
    pub(crate) async fn start(program: &Program) -> anyhow::Result<Self> {
        let built = modified(&program.binary)
            .with_context(|| format!("{} doesn't exist: build the functions", program.binary.display()))?;
        let api = RuntimeApi::new(program.name.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let server = tokio::spawn(axum::serve(listener, router(api.clone())).into_future());
        let mut process = bound_command(&program.binary, Signal::SIGKILL)
            .env_clear()
            .envs(&program.variables)
            .env("AWS_LAMBDA_RUNTIME_API", address.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("can't run setpriv, which is in the package util-linux")?;
        copy_lines(process.stdout.take(), program);
        copy_lines(process.stderr.take(), program);
        Ok(Self { process, api, server, built, deadline: Instant::now() })
    }

    /// Whether it can take another invocation: its process is alive, and the binary hasn't changed since its start.
    pub(crate) fn is_usable(&mut self, program: &Program) -> bool {
        matches!(self.process.try_wait(), Ok(None)) && modified(&program.binary) == Some(self.built)
    }

    /// Runs an invocation until the function responds. Its work may go on after that: see [`Environment::settle`].
    pub(crate) async fn invoke(
        &mut self,
        program: &Program,
        invocation: impl FnOnce() -> Invocation,
    ) -> Result<Outcome, Failure> {
        if program.freeze {
            send(&self.process, Signal::SIGCONT);
        }
        tokio::select! {
            () = self.api.idle() => {}
            _ = self.process.wait() => return Err(Failure::Died),
            () = tokio::time::sleep(INIT_TIMEOUT) => return Err(Failure::TimedOut),
        }
        self.deadline = Instant::now() + program.timeout;
        let responded = self.api.deliver(&invocation());
        tokio::select! {
            biased;
            Ok(outcome) = responded => Ok(outcome),
            _ = self.process.wait() => Err(Failure::Died),
            () = tokio::time::sleep_until(self.deadline) => Err(Failure::TimedOut),
        }
    }

    /// Waits for the work after the response to end, within the function's timeout, and freezes the environment.
    pub(crate) async fn settle(&mut self, program: &Program) -> Result<(), Failure> {
        tokio::select! {
            () = self.api.idle() => {}
            _ = self.process.wait() => return Err(Failure::Died),
            () = tokio::time::sleep_until(self.deadline) => return Err(Failure::TimedOut),
        }
        if program.freeze {
            send(&self.process, Signal::SIGSTOP);
        }
        Ok(())
    }
}

impl Drop for Environment {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn modified(path: &Path) -> Option<SystemTime> {
    path.metadata().ok()?.modified().ok()
}

/// Copies the output of a process to its function's log.
fn copy_lines(output: Option<impl AsyncRead + Unpin + Send + 'static>, program: &Program) {
    let Some(output) = output else { return };
    let (console, name) = (program.console.clone(), program.name.clone());
    tokio::spawn(async move {
        let mut lines = BufReader::new(output).split(b'\n');
        while let Ok(Some(line)) = lines.next_segment().await {
            console.function_output(&name, &String::from_utf8_lossy(&line));
        }
    });
}
