//! Round trips to Postgres: one per request, without anything that a pooler doesn't support.

use crate::routes::{Route, routes};
use crate::wire::{Cut, Tally, Wire};
use futures_util::future::join_all;
use serde_json::json;
use std::time::{Duration, Instant};
use support::lambda::event_of;
use support::relay::{closed_port, database_url_at};
use support::{Chat, Function, Request};
use tokio::net::TcpListener;
use uuid::Uuid;

/// The longest time that a request waits for an unavailable database.
const LIMIT: Duration = Duration::from_secs(3);

fn round_trips(count: usize) -> Tally {
    Tally { round_trips: count, named_statements: Vec::new() }
}

#[tokio::test]
async fn every_route_takes_one_round_trip_and_names_no_statement() {
    let chat = Chat::new().await;
    for Route { function, request } in routes(&chat).await {
        let wire = Wire::new().await;
        let mut process = Function::start(function, &[("DATABASE_URL", &wire.database_url)]).await;
        let event = event_of(function, &chat, &request);
        for first in [true, false, false] {
            let (status, response) = process.call(event.clone()).await;
            assert_eq!(status, 200, "{function}: {response}");
            wire.wait_until_quiet().await;
            // The start makes one round trip. After the first response there is one to record the use, and one for the counts.
            let others = if first { 3 } else { 0 };
            assert_eq!(wire.count(), round_trips(others + 1), "{function}");
        }
    }
}

#[tokio::test]
async fn a_named_statement_is_prepared_once_for_each_connection() {
    let chat = Chat::new().await;
    for Route { function, request } in routes(&chat).await {
        let wire = Wire::new().await;
        let mut process = Function::start(function, &named(&wire)).await;
        let event = event_of(function, &chat, &request);
        for first in [true, false, false] {
            let (status, response) = process.call(event.clone()).await;
            assert_eq!(status, 200, "{function}: {response}");
            wire.wait_until_quiet().await;
            let tally = wire.count();
            let expected = if first { (5, 1) } else { (1, 0) };
            assert_eq!((tally.round_trips, tally.named_statements.len()), expected, "{function}");
        }
    }
}

fn named(wire: &Wire) -> [(&str, &str); 2] {
    [("DATABASE_URL", &wire.database_url), ("DATABASE_NAMED_STATEMENTS", "true")]
}

#[tokio::test]
async fn a_pooler_that_mixes_up_named_statements_runs_none_that_is_not_meant() {
    let chat = Chat::new().await;
    let name = async |route: &str| -> String {
        let sql =
            "select name from tinychat.route_functions where route = $1 order by migrated_at desc limit 1";
        chat.db.query_one(sql, &[&route]).await.unwrap().get(0)
    };
    let (typing, read) = (name("send_typing").await, name("mark_read").await);
    let wire = Wire::new().await;
    let arguments = "p_credential => $1, p_conversation_id => $2";
    wire.mistake(
        &format!("{typing}({arguments}, p_sender_id => $3) where $4 = '{typing}'"),
        &format!(
            "{read}({arguments}, p_user_id => $3, p_message_id => null, p_inbox => false) where $4 = '{read}'"
        ),
    );
    let mut process = Function::start("send-typing", &named(&wire)).await;
    let request = Request::post(chat.path("typing"), &json!({ "sender_id": "bob" }));
    let event = event_of("send-typing", &chat, &request);
    let before = chat.rows().await;
    for named in [1, 0] {
        assert_eq!(process.call(event.clone()).await, (200, json!({ "ok": true })));
        wire.wait_until_quiet().await;
        assert_eq!(wire.count().named_statements.len(), named);
    }
    assert_eq!(chat.rows().await, before, "mark-read was executed");
}

#[tokio::test]
async fn processes_with_named_statements_that_the_pooler_does_not_keep_serve_all_requests() {
    let chat = Chat::new().await;
    let routes = routes(&chat).await;
    let mut processes = Vec::new();
    for Route { function, request } in routes {
        let process = Function::start(function, &[("DATABASE_NAMED_STATEMENTS", "true")]).await;
        processes.push((process, function, event_of(function, &chat, &request)));
    }
    for _ in 0..5 {
        let calls = processes.iter_mut().map(async |(process, function, event)| {
            let (status, response) = process.call(event.clone()).await;
            assert_eq!(status, 200, "{function}: {response}");
        });
        join_all(calls).await;
    }
}

#[tokio::test]
async fn bad_input_takes_one_round_trip_at_most() {
    let chat = Chat::new().await;
    for Route { function, request } in routes(&chat).await {
        let wire = Wire::new().await;
        let mut process = Function::start(function, &[("DATABASE_URL", &wire.database_url)]).await;
        process.call(event_of(function, &chat, &request)).await;
        wire.wait_until_quiet().await;
        wire.count();
        for (bad, count) in bad_requests(&chat, &request) {
            let (status, response) = process.call(event_of(function, &chat, &bad)).await;
            assert!((400..500).contains(&status), "{function} responds with {status}: {response}");
            assert_eq!(wire.count(), round_trips(count), "{function}: {response}");
        }
    }
}

/// Returns requests that are refused, each with the number of round trips that this takes.
fn bad_requests(chat: &Chat, good: &Request) -> Vec<(Request, usize)> {
    let unknown = format!("pk_test_{}", Uuid::new_v4().simple());
    let mut bad = vec![
        (good.clone().without_key(), 0),
        (good.clone().with_key("nobody's"), 0),
        (good.clone().with_key(unknown), 1),
    ];
    let to_path = |path: String| Request { path, ..good.clone() };
    if good.path.contains(&chat.conversation) {
        let elsewhere = good.path.replace(&chat.conversation, &Uuid::new_v4().to_string());
        bad.push((to_path(elsewhere), 1));
    }
    if good.path.contains('?') {
        bad.push((to_path(good.path.replace("user_id", "user")), 1));
    }
    if !good.body.is_empty() {
        let with_body = |body: &str| good.clone().body("application/json", body);
        bad.push((with_body("{"), 1));
        bad.push((with_body(r#"{"status": 0}"#), 1));
    }
    bad
}

#[tokio::test]
async fn a_function_that_starts_without_a_database_works_once_there_is_one() {
    let chat = Chat::new().await;
    for Route { function, request } in routes(&chat).await {
        let port = closed_port().await;
        let event = event_of(function, &chat, &request);
        let mut process = Function::start(function, &[("DATABASE_URL", &database_url_at(port))]).await;
        for _ in 0..2 {
            assert_unavailable(&mut process, &event).await;
        }
        let _database = Wire::on_port(port).await;
        assert_eq!(process.call(event).await.0, 200, "{function}");
    }
}

#[tokio::test]
async fn a_database_that_hangs_causes_a_500_and_is_used_again_when_it_works() {
    let chat = Chat::new().await;
    let request = Request::get("/v1/config");
    let event = event_of("get-config", &chat, &request);
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = silent.local_addr().unwrap().port();
    let mut process = Function::start("get-config", &[("DATABASE_URL", &database_url_at(port))]).await;
    process.call(event.clone()).await; // the first call includes the start
    assert_unavailable(&mut process, &event).await;
    drop(silent);
    let _database = Wire::on_port(port).await;
    assert_eq!(process.call(event).await.0, 200);
}

#[tokio::test]
async fn a_database_that_stops_answering_costs_one_request() {
    let chat = Chat::new().await;
    let wire = Wire::new().await;
    let event = event_of("get-config", &chat, &Request::get("/v1/config"));
    let mut process = Function::start("get-config", &[("DATABASE_URL", &wire.database_url)]).await;
    assert_eq!(process.call(event.clone()).await.0, 200);
    wire.wait_until_quiet().await;
    wire.cut(Cut::Silence);
    assert_unavailable(&mut process, &event).await;
    assert!(wire.has_cut());
    assert_eq!(process.call(event).await.0, 200);
}

/// Asserts that a request gets a 500 in time.
async fn assert_unavailable(process: &mut Function, event: &serde_json::Value) {
    let began = Instant::now();
    assert_eq!(process.call(event.clone()).await, (500, json!({ "error": "database unavailable" })));
    assert!(began.elapsed() < LIMIT, "{:?}", began.elapsed());
}
