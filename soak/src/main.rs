//! A soak test: sixteen clients with mixed traffic on the local cloud, while functions, Postgres, Realtime, Storage and the
//! receivers of webhooks fail. Meanwhile users are erased, and old messages expire. At the end a checker compares the
//! acknowledged writes with the stored messages, the webhooks and the broadcasts, and searches for what must be gone.
//!
//! `soak` starts its own local cloud and runs in it for `MINUTES`. Then it checks that no process is left.

mod backend;
mod checker;
mod client;
mod database;
mod follower;
mod history;
mod leaver;
mod listener;
mod nemesis;
mod processes;
mod receiver;
mod retention;
mod search;
mod tinychat;
mod world;

use anyhow::{Context, ensure};
use processes::children;
use std::env;
use std::process::{Command, ExitCode};
use std::thread::sleep;
use std::time::Duration;

/// The time in which all processes must end after the cloud has.
const EXIT_TIMEOUT: Duration = Duration::from_secs(5);

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

/// Runs this program again, inside a local cloud.
fn start() -> anyhow::Result<()> {
    nix::sys::prctl::set_child_subreaper(true)?; // processes that the cloud leaves become children of this one
    let program = env::current_exe()?;
    let mut local = Command::new(program.with_file_name("local"));
    let status = local
        .arg(&program)
        .arg("inside")
        .status()
        .context("the local cloud isn't built: run `cargo build --workspace --bins`")?;
    let me = i32::try_from(std::process::id())?;
    let mut waited = Duration::ZERO;
    while !children(me).is_empty() && waited < EXIT_TIMEOUT {
        sleep(Duration::from_millis(100));
        waited += Duration::from_millis(100);
    }
    let left: Vec<_> = children(me).into_iter().map(|process| process.name).collect();
    ensure!(left.is_empty(), "processes are left: {left:?}");
    ensure!(status.success(), "the soak test failed");
    println!("No process is left.");
    Ok(())
}
