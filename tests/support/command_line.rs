//! `tinychat`, the operator's command line.

use crate::lambda::binary;
use serde_json::Value;
use tokio::process::Command;

/// Runs a command line. Returns its exit code, standard output and standard error.
pub async fn run(line: &str) -> (i32, String, String) {
    run_with(line, &[]).await
}

/// Runs a command line with some settings changed. It has all other settings of the suite, such as `DATABASE_URL`.
pub async fn run_with(line: &str, changes: &[(&str, &str)]) -> (i32, String, String) {
    let mut command = Command::new(binary("tinychat"));
    let output = command.args(line.split(' ')).envs(changes.iter().copied()).output().await.unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

/// Returns the JSON that a command prints.
pub async fn json(line: &str) -> Value {
    json_with(line, &[]).await
}

/// Returns the JSON that a command prints with some settings changed.
pub async fn json_with(line: &str, changes: &[(&str, &str)]) -> Value {
    let (code, output, errors) = run_with(&format!("--json {line}"), changes).await;
    assert_eq!((code, errors.as_str()), (0, ""), "{line}");
    serde_json::from_str(&output).unwrap()
}
