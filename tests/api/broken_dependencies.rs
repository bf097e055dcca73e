//! Functions whose database, storage or Realtime is down, refuses requests, or hangs.

use serde_json::json;
use std::time::{Duration, Instant};
use support::Function;
use support::lambda::{event, routes};
use support::relay::{closed_port, database_url_at, relay};
use tokio::net::TcpListener;

/// Asserts that a function responds to its event in events/ with a 500 and exactly this text.
async fn fails(name: &str, changes: &[(&str, &str)], text: &str) {
    let mut function = Function::start(name, changes).await;
    assert_eq!(function.call(event(name)).await, (500, json!({ "error": text })), "{name}");
}

#[tokio::test]
async fn without_a_database_every_route_answers_500_in_a_few_words() {
    let url = database_url_at(closed_port().await);
    for name in routes().iter().filter(|name| *name != "route-not-found") {
        fails(name, &[("DATABASE_URL", &url)], "database unavailable").await;
    }
}

#[tokio::test]
async fn a_database_that_hangs_answers_500_within_5_seconds() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = database_url_at(silent.local_addr().unwrap().port());
    let start = Instant::now();
    fails("get-config", &[("DATABASE_URL", &url)], "database unavailable").await;
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_database_that_comes_back_is_found_again() {
    let port = closed_port().await;
    let mut function = Function::start("get-config", &[("DATABASE_URL", &database_url_at(port))]).await;
    assert_eq!(function.call(event("get-config")).await.0, 500);
    relay(&format!("127.0.0.1:{port}")).await;
    assert_eq!(function.call(event("get-config")).await.0, 200);
}

#[tokio::test]
async fn storage_that_is_down_or_refuses_answers_500_in_a_few_words() {
    let nowhere = format!("http://127.0.0.1:{}", closed_port().await);
    fails("upload-image", &[("SUPABASE_URL", &nowhere)], "storage unavailable").await;
    fails("upload-image", &[("STORAGE_SECRET_ACCESS_KEY", "wrong")], "storage unavailable").await;
    fails("upload-image", &[("STORAGE_BUCKET", "nowhere")], "storage unavailable").await;
}

#[tokio::test]
async fn a_realtime_that_is_down_refuses_or_hangs_fails_nothing() {
    let nowhere = format!("http://127.0.0.1:{}", closed_port().await);
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silence = format!("http://{}", silent.local_addr().unwrap());
    for name in ["send-message", "edit-message", "delete-message", "update-conversation", "send-typing"] {
        for change in [
            ("SUPABASE_URL", nowhere.as_str()),
            ("SUPABASE_URL", &silence),
            ("SUPABASE_SERVICE_ROLE_KEY", "eyJhbGciOiJIUzI1NiJ9.e30.wrong"),
            ("SUPABASE_SERVICE_ROLE_KEY", "sb_secret_wrong"),
        ] {
            let mut function = Function::start(name, &[change]).await;
            let (status, body) = function.call(event(name)).await;
            assert_eq!(status, 200, "{name} with {change:?}: {body}");
        }
    }
}
