//! The pages of docs/quickstart: what they say is run as it is printed, and prints what they say.

use crate::support::token_key::TokenKey;
use crate::support::{Chat, Request, setting};
use serde_json::json;
use std::path::Path;
use std::process::Stdio;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// The blocks of a page in one language, in their order.
fn blocks(page: &str, language: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/quickstart");
    let text = std::fs::read_to_string(folder.join(page)).unwrap();
    let start = format!("```{language}\n");
    let blocks: Vec<_> =
        text.split(&start).skip(1).map(|rest| rest.split("```").next().unwrap().to_owned()).collect();
    assert!(!blocks.is_empty(), "{page} has no {language}");
    blocks.concat()
}

/// Hands a page's program to an interpreter, and gives what it prints.
async fn run(page: &str, language: &str, interpreter: &str, arguments: &[&str]) -> String {
    run_with(page, language, interpreter, arguments, &[]).await
}

async fn run_with(
    page: &str,
    language: &str,
    interpreter: &str,
    arguments: &[&str],
    settings: &[(&str, &str)],
) -> String {
    let mut child = Command::new(interpreter)
        .args(arguments)
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("realtime")) // where supabase-js is installed
        .env("API_URL", setting("API_URL"))
        .envs(settings.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect(interpreter);
    child.stdin.take().unwrap().write_all(blocks(page, language).as_bytes()).await.unwrap();
    let output = child.wait_with_output().await.unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{page}: {printed}{}", String::from_utf8_lossy(&output.stderr));
    printed
}

#[tokio::test]
async fn the_curl_page_does_what_it_says() {
    let printed = run("curl.md", "sh", "bash", &["-eu", "-o", "pipefail"]).await;
    let lines: Vec<_> = printed.lines().filter(|line| !line.is_empty()).collect();
    let expected = [
        r#""channel_prefix":"conv:""#,
        r#""name":"Ada Lovelace""#,
        r#""body":"Hi, where is my order?""#,
        r#""messages":["#,
        r#""conversations":["#,
        r#""body":"Actually, where IS it?""#,
        r#""deleted_at":"2"#,
        r#"{"ok":true}"#,
        r#""message_type":"image""#,
        r#""method":"PUT""#,
        r#"{"error":"conversation not found"}404"#,
    ];
    assert_eq!(lines.len(), expected.len(), "{printed}");
    for (line, part) in lines.iter().zip(expected) {
        assert!(line.contains(part), "{part} is not in {line}");
    }
}

#[tokio::test]
async fn the_javascript_page_prints_what_it_says() {
    let printed = run("javascript.md", "js", "node", &["--input-type=module"]).await;
    // Events and answers come by different ways, so that their order is no promise.
    let sorted = |text: &str| {
        let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    assert_eq!(sorted(&printed), sorted(&blocks("javascript.md", "text")));
}

#[tokio::test]
async fn the_python_page_prints_what_it_says() {
    let printed = run("python.md", "python", "python3", &["-"]).await;
    assert_eq!(printed, blocks("python.md", "text"));
}

#[tokio::test]
async fn the_queue_page_prints_what_it_says() {
    let chat = Chat::without_messages().await;
    let secret = chat.secret_key();
    chat.add_secret_key(&secret).await;
    let settings = [("TINYCHAT_SECRET_KEY", secret.as_str())];
    let printed = run_with("queue.md", "js", "node", &["--input-type=module"], &settings).await;
    assert_eq!(printed, blocks("queue.md", "text"));
}

#[tokio::test]
async fn the_tokens_page_signs_tokens_that_the_api_accepts() {
    let chat = Chat::new().await;
    let key = TokenKey::new(&chat).await;
    let kid = key.kid.to_string();
    let settings = [("TOKEN_KID", kid.as_str()), ("TOKEN_SECRET", key.secret.as_str())];
    for (language, interpreter, arguments) in
        [("js", "node", ["--input-type=module"].as_slice()), ("python", "python3", ["-"].as_slice())]
    {
        let token = run_with("tokens.md", language, interpreter, arguments, &settings).await;
        let user = Request::post("/v1/users", &json!({})).with_key(token.trim());
        assert_eq!(chat.call(user).await.ok()["user"]["user_id"], "u_42", "{language}");
    }
}
