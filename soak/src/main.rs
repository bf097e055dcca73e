//! A soak: sixteen clients of mixed traffic on the local cloud, while functions, Postgres, Realtime, Storage and the
//! receivers of webhooks fail under them. At the end a checker judges what was acknowledged by what is there, and by what a
//! listener heard.
//!
//! `soak` starts a local cloud of its own, runs in it for `MINUTES`, and looks for processes that were left behind.

mod checker;
mod client;
mod follower;
mod history;
mod keeper;
mod listener;
mod nemesis;
mod processes;
mod receiver;
mod world;

use anyhow::{Context, ensure};
use processes::children;
use std::env;
use std::process::{Command, ExitCode};
use std::thread::sleep;
use std::time::Duration;

/// How long processes may take to end after the cloud has.
const PATIENCE: Duration = Duration::from_secs(5);

fn main() -> ExitCode {
    let outcome = if env::args().nth(1).as_deref() == Some("inside") { world::run() } else { start() };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs this very program inside a local cloud.
fn start() -> anyhow::Result<()> {
    nix::sys::prctl::set_child_subreaper(true)?; // what the cloud leaves behind becomes a child of this process
    let program = env::current_exe()?;
    let mut local = Command::new(program.with_file_name("local"));
    let status = local.arg(&program).arg("inside").status().context("the local cloud isn't built")?;
    let me = i32::try_from(std::process::id())?;
    let mut waited = Duration::ZERO;
    while !children(me).is_empty() && waited < PATIENCE {
        sleep(Duration::from_millis(100));
        waited += Duration::from_millis(100);
    }
    let left: Vec<_> = children(me).into_iter().map(|process| process.name).collect();
    ensure!(left.is_empty(), "processes were left behind: {left:?}");
    ensure!(status.success(), "the soak failed");
    println!("No process is left.");
    Ok(())
}
