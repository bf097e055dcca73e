//! scripts/smoke, which tests a running API from end to end.

use std::path::Path;
use support::relay::closed_port;
use support::{Chat, setting};
use tokio::process::Command;

/// Runs the script. Returns its exit code, standard output and standard error.
async fn smoke(address: &str, key: &str) -> (i32, String, String) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/smoke");
    let output = Command::new(script).arg(address).env("TINYCHAT_API_KEY", key).output().await.unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[tokio::test]
async fn it_is_green_against_an_api_that_works_again_and_again() {
    let chat = Chat::new().await;
    for _ in 0..2 {
        let (code, output, errors) = smoke(&setting("API_URL"), &chat.key).await;
        assert_eq!((code, errors.as_str()), (0, ""), "{output}");
        let steps: Vec<_> = output.lines().map(|line| line.split([',', ' ']).nth(1).unwrap()).collect();
        let expected =
            ["config", "user", "conversation", "send", "list", "upload", "download", "delete", "works."];
        assert_eq!(steps, expected, "{output}");
    }
    assert_eq!(chat.conversations_of("smoke").await.len(), 1);
}

#[tokio::test]
async fn a_wrong_key_fails_the_first_step() {
    let (code, output, errors) = smoke(&setting("API_URL"), "pk_test_NobodysKeyButOfTheRightForm").await;
    assert_eq!((code, output.as_str()), (1, ""));
    assert_eq!(errors, "FAILED config: /v1/config returned status 401: {\"error\":\"invalid api key\"}\n");
}

#[tokio::test]
async fn a_dead_address_fails_the_first_step() {
    let address = format!("http://127.0.0.1:{}", closed_port().await);
    let (code, output, errors) = smoke(&address, "pk_test_NobodysKeyButOfTheRightForm").await;
    assert_eq!((code, output.as_str()), (1, ""));
    assert!(
        errors.starts_with(&format!("FAILED config: no response from {address}/v1/config (")),
        "{errors}"
    );
}

#[tokio::test]
async fn without_a_key_it_says_how_it_is_used() {
    let (code, _, errors) = smoke(&setting("API_URL"), "").await;
    assert_eq!(code, 2);
    assert!(errors.starts_with("Usage: "), "{errors}");
}
