//! The local cloud: the parts of API Gateway, Lambda and Supabase that TinyChat needs, on a real Postgres.
//!
//! `local` runs until Ctrl-C. `local COMMAND ARGUMENTS…` runs a command with the cloud's addresses and keys in its
//! environment. Then it stops everything and exits with the command's status.

mod certificates;
mod cloud;
mod console;
mod database;
mod deliveries;
mod demo_tokens;
mod exports;
mod faults;
mod gateway;
mod lambda;
mod options;
mod pages;
mod pooler;
mod postgres;
mod process;
mod route_functions;
mod schedule;
mod supabase;
mod template;
mod webhook_receiver;

use anyhow::Context;
use cloud::Cloud;
use nix::sys::signal::Signal;
use options::Options;
use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitCode;
use tokio::process::Command;
use tokio::signal::unix::{SignalKind, signal};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run().await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> anyhow::Result<ExitCode> {
    let options = Options::from_env()?;
    process::raise_open_file_limit()?;
    let mut arguments = std::env::args_os().skip(1);
    let command = arguments.next();
    let cloud = tokio::select! {
        cloud = Cloud::start(&options, command.is_some()) => cloud?,
        () = stop_requested() => return Ok(ExitCode::FAILURE),
    };
    let code = if let Some(program) = command {
        run_command(program, arguments, &cloud, &options).await
    } else {
        print_addresses(&cloud, &options);
        stop_requested().await;
        Ok(ExitCode::SUCCESS)
    };
    cloud.stop().await;
    code
}

fn print_addresses(cloud: &Cloud, options: &Options) {
    let exports = &cloud.exports;
    let pages = if options.pages {
        format!("    Demo      {0}\n    Webhooks  {0}/deliveries\n    Reference {0}/docs\n", exports.api_url)
    } else {
        String::new()
    };
    println!(
        "
  TinyChat is running. Ctrl-C stops it.

{pages}    API       {api}/v1
    Key       {key}
    Supabase  {supabase}
    Postgres  {database}
    Settings  {folder}/env
    Logs      {folder}/logs

  Try it:

    curl {api}/v1/config -H 'x-tinychat-api-key: {key}'

  After a change to a function, build it, for example with `cargo build --bin send-message`. The next request runs it.
",
        api = exports.api_url,
        supabase = exports.supabase_url,
        database = exports.database_url,
        folder = options.data_dir.display(),
        key = exports::TINYCHAT_API_KEY,
    );
}

/// Waits for Ctrl-C or SIGTERM.
async fn stop_requested() {
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        return;
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}

/// Runs the command. Ctrl-C reaches it directly, because it is in the terminal's process group. SIGTERM is passed on.
async fn run_command(
    program: OsString,
    arguments: impl Iterator<Item = OsString>,
    cloud: &Cloud,
    options: &Options,
) -> anyhow::Result<ExitCode> {
    let mut terminate = signal(SignalKind::terminate())?;
    let _ignored = signal(SignalKind::interrupt())?;
    let mut child = process::remove_cargo_variables(&mut Command::new(&program))
        .args(arguments)
        .envs(cloud.exports.public(options))
        .kill_on_drop(true)
        .spawn()
        .with_context(|| program.display().to_string())?;
    let status = loop {
        tokio::select! {
            status = child.wait() => break status?,
            _ = terminate.recv() => process::send(&child, Signal::SIGTERM),
        }
    };
    let code =
        status.code().or_else(|| Some(128 + status.signal()?)).and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}
