//! Events that API Gateway would never make. The function must respond to each of them and continue to work.

use serde_json::{Value, json};
use support::Function;
use support::lambda::event;

/// Returns a function's event in events/, with the value at each of these JSON pointers replaced.
fn changed(function: &str, changes: &[(&str, Value)]) -> Value {
    let mut event = event(function);
    for (pointer, value) in changes {
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        event.pointer_mut(parent).unwrap()[key] = value.clone();
    }
    event
}

/// Asserts that a process responds to each changed event with this status, and to the original event after it.
async fn responses(function: &str, events: &[(&[(&str, Value)], u64)]) {
    let mut process = Function::start(function, &[]).await;
    for (changes, expected) in events {
        let (status, body) = process.call(changed(function, changes)).await;
        assert_eq!(status, *expected, "{changes:?}: {body}");
        assert_eq!(body["error"].is_string(), *expected != 200, "{changes:?}: {body}");
        assert_eq!(process.call(event(function)).await.0, 200, "after {changes:?}");
    }
}

#[tokio::test]
async fn a_body_that_claims_to_be_base64_and_is_not_answers_400() {
    for function in ["send-message", "create-conversation", "upsert-user", "upload-image", "send-typing"] {
        let body = |text: &str| [("/isBase64Encoded", json!(true)), ("/body", json!(text))];
        let bad: Vec<_> = ["%%%", "e30", "e30==", "{}", "💬", "\u{0}", " e30= ", ""].map(body).to_vec();
        let events: Vec<_> = bad.iter().map(|changes| (&changes[..], 400)).collect();
        responses(function, &events).await;
    }
}

#[tokio::test]
async fn a_missing_body_answers_400() {
    for function in ["send-message", "upload-image"] {
        responses(function, &[(&[("/body", Value::Null)], 400), (&[("/body", json!(""))], 400)]).await;
    }
}

#[tokio::test]
async fn an_odd_query_string_answers_200_or_400() {
    let query = |text: &str| [("/rawQueryString", json!(text)), ("/queryStringParameters", Value::Null)];
    let odd = [
        (query(""), 200),
        (query("%"), 200),
        (query("%zz=%"), 200),
        (query("&&&=&"), 200),
        (query("\u{0}\r\n \"<>💬"), 200),
        (query("limit=1&limit=2"), 200),
        (query(&"x=y&".repeat(10_000)), 200),
        (query("limit=%ff"), 400),
        (query("limit=%"), 400),
        (query("before=\u{0}"), 400),
    ];
    let events: Vec<_> = odd.iter().map(|(changes, status)| (&changes[..], *status)).collect();
    responses("list-messages", &events).await;
}

#[tokio::test]
async fn hostile_hosts_and_schemes_do_not_matter() {
    let mut odd = Vec::new();
    for host in ["", "[::1", "exa mple.com", "example.com:99999", "a/b?c#d@e", "💬", "%00"] {
        odd.push([("/headers/host", json!(host)), ("/requestContext/domainName", json!(host))]);
    }
    for scheme in ["", "javascript", "ht tp", "http,https", "://", "💬"] {
        odd.push([
            ("/headers/x-forwarded-proto", json!(scheme)),
            ("/headers/x-forwarded-port", json!(scheme)),
        ]);
    }
    for path in ["", "//", "no slash", "/%zz", "/💬", "http://elsewhere/"] {
        odd.push([("/rawPath", json!(path)), ("/requestContext/http/path", json!(path))]);
    }
    for stage in ["", "$default", "💬"] {
        odd.push([("/requestContext/stage", json!(stage)), ("/routeKey", json!(stage))]);
    }
    let events: Vec<_> = odd.iter().map(|changes| (&changes[..], 200)).collect();
    responses("get-config", &events).await;
}

#[tokio::test]
async fn odd_path_parameters_answer_404() {
    let none: &[_] = &[("/pathParameters", Value::Null)];
    let empty: &[_] = &[("/pathParameters", json!({}))];
    let odd: Vec<_> =
        ["", "\u{0}", "💬", "' or true --", "../.."].map(|id| [("/pathParameters/id", json!(id))]).to_vec();
    let mut events = vec![(none, 404), (empty, 404)];
    events.extend(odd.iter().map(|changes| (&changes[..], 404)));
    responses("list-messages", &events).await;
}

#[tokio::test]
async fn an_event_without_headers_answers_401() {
    responses("get-config", &[(&[("/headers", json!({}))], 401)]).await;
}

#[tokio::test]
async fn what_is_no_http_event_leaves_the_process_alive() {
    let mut process = Function::start("get-config", &[]).await;
    let nested = (0..200).fold(json!([]), |inner, _| json!([inner]));
    for other in [
        json!({}),
        json!(null),
        json!("text"),
        json!({ "Records": [] }),
        json!({ "httpMethod": "GET" }),
        nested,
    ] {
        // Lambda reports an error to the caller. The process must continue to work.
        let outcome = process.invoke(other.clone()).await;
        assert_eq!(outcome.is_ok(), other.is_object(), "{other}: {outcome:?}");
        assert!(outcome.map_or(true, |response| response["statusCode"] == 401), "{other}");
        assert_eq!(process.call(event("get-config")).await.0, 200, "after {other}");
    }
}
