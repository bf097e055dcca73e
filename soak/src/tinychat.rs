//! The operator's command line.

use anyhow::Context;
use std::env;
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;
use tokio::time::timeout;

/// Runs a command line, and kills it after `most`. Returns its exit code and what it wrote to standard error.
pub async fn run(line: &str, most: Duration) -> anyhow::Result<(i32, String)> {
    let mut command = Command::new(env::current_exe()?.with_file_name("tinychat"));
    command.args(line.split(' ')).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let child = command.kill_on_drop(true).spawn().context("tinychat isn't built")?;
    let output = timeout(most, child.wait_with_output()).await.context("killed")??;
    let code = output.status.code().context("it was killed")?;
    Ok((code, String::from_utf8_lossy(&output.stderr).into_owned()))
}
