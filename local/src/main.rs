//! The cloud on a laptop: API Gateway, Lambda and Supabase as far as TinyChat needs them, on a real Postgres.
//!
//! `local` stays up until Ctrl-C. `local COMMAND ARGUMENTS…` runs the command with the run's settings in its
//! environment, stops everything, and exits with the command's status.

mod certificates;
mod cloud;
mod config;
mod console;
mod database;
mod faults;
mod gateway;
mod lambda;
mod pages;
mod pooler;
mod postgres;
mod process;
mod route_functions;
mod schedule;
mod settings;
mod supabase;
mod template;
mod webhooks;

use anyhow::Context;
use cloud::Cloud;
use config::Config;
use nix::sys::signal::Signal;
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
    let config = Config::from_env()?;
    process::allow_many_files()?;
    let mut arguments = std::env::args_os().skip(1);
    let command = arguments.next();
    let cloud = tokio::select! {
        cloud = Cloud::start(&config, command.is_some()) => cloud?,
        () = asked_to_stop() => return Ok(ExitCode::FAILURE),
    };
    let code = if let Some(program) = command {
        run_command(program, arguments, &cloud, &config).await
    } else {
        greet(&cloud, &config);
        asked_to_stop().await;
        Ok(ExitCode::SUCCESS)
    };
    cloud.stop().await;
    code
}

fn greet(cloud: &Cloud, config: &Config) {
    let settings = &cloud.settings;
    let pages = if config.pages {
        format!("    Demo      {0}\n    Reference {0}/docs\n", settings.api_url)
    } else {
        String::new()
    };
    println!(
        "
  TinyChat is up. Ctrl-C stops it.

{pages}    API       {api}/v1
    Key       {key}
    Supabase  {supabase}
    Postgres  {database}
    Settings  {folder}/env
    Logs      {folder}/logs

  Try it:

    curl {api}/v1/config -H 'x-tinychat-api-key: {key}'

  After a change, `cargo build --bin send-message` (or another function): the next request runs it.
",
        api = settings.api_url,
        supabase = settings.supabase_url,
        database = settings.database_url,
        folder = config.data_dir.display(),
        key = settings::TINYCHAT_API_KEY,
    );
}

/// Ctrl-C, or SIGTERM.
async fn asked_to_stop() {
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        return;
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}

/// Ctrl-C reaches the command by itself, for it is in the terminal's process group; SIGTERM is passed on.
async fn run_command(
    program: OsString,
    arguments: impl Iterator<Item = OsString>,
    cloud: &Cloud,
    config: &Config,
) -> anyhow::Result<ExitCode> {
    let mut terminate = signal(SignalKind::terminate())?;
    let _ignored = signal(SignalKind::interrupt())?;
    let mut child = process::forget_cargo(&mut Command::new(&program))
        .args(arguments)
        .envs(cloud.settings.public(config))
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
