//! The functions' logs: a line for each request, without the caller's data.

use crate::isolation::{self, Ids};
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;
use support::lambda::{event, routes};
use support::relay::{closed_port, database_url_at};
use support::{Chat, Function, Request, assert_keys, assert_time, setting};

fn log(function: &str) -> String {
    let path = Path::new(&setting("DATA_DIR")).join(format!("logs/{function}.log"));
    std::fs::read_to_string(path).unwrap_or_default()
}

/// Waits until a function has logged this number of a tenant's requests, which happens after the responses. Returns the lines.
async fn lines(chat: &Chat, function: &str, count: usize) -> Vec<Value> {
    for _ in 0..100 {
        let lines: Vec<Value> = log(function)
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .filter(|line: &Value| line["tenant"] == json!(chat.tenant))
            .collect();
        if lines.len() == count {
            return lines;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{function} has not logged {count} lines about {}", chat.tenant);
}

#[tokio::test]
async fn every_request_has_a_line_with_its_numbers() {
    let chat = Chat::new().await;
    let line = lines(&chat, "send-message", 1).await.remove(0);
    let expected = [
        "timestamp",
        "level",
        "requestId",
        "stack",
        "function",
        "tenant",
        "credential",
        "status",
        "duration",
        "database",
        "cold",
        "failed",
        "_aws",
    ];
    assert_keys(&line, &expected);
    assert_time(&line["timestamp"]);
    assert_eq!((&line["function"], &line["status"]), (&json!("send-message"), &json!(200)));
    assert_eq!(line["requestId"].as_str().unwrap().len(), 36);
    let (duration, database) = (line["duration"].as_f64().unwrap(), line["database"].as_f64().unwrap());
    assert!(0.0 < database && database < duration && duration < 5_000.0, "{line}");
}

#[tokio::test]
async fn the_numbers_are_metrics_to_cloudwatch() {
    let chat = Chat::new().await;
    let line = lines(&chat, "send-message", 1).await.remove(0);
    let definition = &line["_aws"]["CloudWatchMetrics"][0];
    assert!(line["_aws"]["Timestamp"].as_u64().unwrap() > 1_700_000_000_000);
    assert_eq!(
        (&definition["Namespace"], &definition["Dimensions"]),
        (&json!("TinyChat"), &json!([["stack", "function"]]))
    );
    let metrics = definition["Metrics"].as_array().unwrap();
    let names: Vec<_> = metrics.iter().map(|metric| metric["Name"].as_str().unwrap()).collect();
    assert_eq!(names, ["duration", "database", "cold", "failed"]);
    assert!(names.iter().all(|name| line[name].is_number()), "{line}");
}

#[tokio::test]
async fn a_5xx_counts_as_failed_with_metrics_or_without() {
    let url = database_url_at(closed_port().await);
    for (metrics, expected) in [("true", true), ("false", false)] {
        let changes = [("DATABASE_URL", url.as_str()), ("METRICS", metrics)];
        let mut function = Function::start("get-config", &changes).await;
        assert_eq!(function.call(event("get-config")).await.0, 500);
        let line: Value = serde_json::from_str(&function.log_line(r#""status":500"#).await).unwrap();
        assert_eq!((&line["failed"], line.get("_aws").is_some()), (&json!(1), expected), "{line}");
    }
}

#[tokio::test]
async fn a_refused_request_says_why_and_a_turned_away_caller_is_nobodys() {
    let chat = Chat::without_messages().await;
    let send = Request::post(chat.path("messages"), &json!({ "sender_id": "ada", "body": "hi" }));
    chat.call(send.clone().without_field("body")).await.error(400, "body is required");
    let line = lines(&chat, "send-message", 1).await.remove(0);
    assert_eq!(
        (&line["status"], &line["level"], &line["error"]),
        (&json!(400), &json!("INFO"), &json!("body is required"))
    );

    chat.call(Request::get("/v1/config").with_key("pk_test_NobodysKeyButOfTheRightForm")).await;
    let nobodys = |line: &str| {
        let line: Value = serde_json::from_str(line).unwrap_or_default();
        line["error"] == "invalid api key" && line["tenant"].is_null() && line["status"] == 401
    };
    for _ in 0..100 {
        if log("get-config").lines().any(nobodys) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("get-config has logged no 401");
}

#[tokio::test]
async fn every_route_that_knows_its_tenant_logs_it() {
    let chat = Chat::new().await;
    let message = chat.message["id"].as_str().unwrap().to_owned();
    let [user, reference] = ["ada", "order_1"].map(str::to_owned);
    let ids = Ids::from([
        ("id", chat.conversation.clone()),
        ("msgId", message.clone()),
        ("reply_to", message),
        ("user_id", user),
        ("external_ref", reference.clone()),
        ("client_message_id", reference),
    ]);
    for (method, path) in isolation::routes() {
        let (query, body) = isolation::example(&method, &path);
        chat.call(isolation::fill(&method, &path, query, &body, &ids)).await;
    }
    for function in routes().into_iter().filter(|name| name != "route-not-found") {
        until_logged(&chat, &function).await;
    }
}

/// Waits until a function has logged a request of a tenant.
async fn until_logged(chat: &Chat, function: &str) {
    let tenant = format!(r#""tenant":"{}""#, chat.tenant);
    for _ in 0..100 {
        if log(function).contains(&tenant) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{function} has logged nothing about {}", chat.tenant);
}

#[tokio::test]
async fn nothing_that_is_the_callers_own_is_logged() {
    let chat = Chat::without_messages().await;
    let secret = |what: &str| format!("{what}-{}", chat.tenant.simple());
    let user = json!({
        "user_id": secret("user"), "name": secret("name"), "email": format!("{}@example.com", secret("mail")),
        "fcm_tokens": [secret("token")],
    });
    chat.call(Request::post("/v1/users", &user)).await.ok();
    chat.send(&secret("user"), &secret("body")).await;
    let odd = json!({ "sender_id": secret("user"), "body": [secret("body")] });
    chat.call(Request::post(chat.path("messages"), &odd)).await.error(400, "body must be a string");
    let mime = json!({ "content_type": secret("mime"), "size": 1 });
    assert_eq!(chat.call(Request::post(chat.path("upload"), &mime)).await.status, 415);

    // Postgres' error quotes the row that violates a constraint. The log must contain the error without the row.
    let forbidden = secret("forbidden");
    let forbid = format!(
        "alter table tinychat.messages add constraint forbidden check (body <> '{forbidden}') not valid"
    );
    chat.db.batch_execute(&forbid).await.unwrap();
    let body = json!({ "sender_id": secret("user"), "body": forbidden });
    let response = chat.call(Request::post(chat.path("messages"), &body)).await;
    chat.db.batch_execute("alter table tinychat.messages drop constraint forbidden").await.unwrap();
    response.error(500, "database unavailable");
    let failed = "violates check constraint";

    lines(&chat, "upsert-user", 1).await;
    lines(&chat, "send-message", 2).await;
    lines(&chat, "upload-image", 1).await;
    for _ in 0..100 {
        if log("send-message").contains(failed) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(log("send-message").contains(failed));
    for function in ["upsert-user", "send-message", "upload-image"] {
        let log = log(function);
        let own = log.lines().find(|line| {
            [&chat.key, &secret("user"), &secret("name"), &secret("mail"), &secret("token"), &secret("body")]
                .into_iter()
                .chain([&secret("mime"), &forbidden])
                .any(|own| line.contains(own.as_str()))
        });
        assert_eq!(own, None, "{function}");
    }
}
