//! `$default`, the route for all other requests.

use reqwest::Method;
use support::{Chat, Request};

/// Asserts that a method and path are no route, below both base paths, with and without a key.
async fn is_no_route(method: Method, path: &str) {
    let chat = Chat::new().await;
    for base in ["", "/api"] {
        let request = Request { method: method.clone(), ..Request::get(format!("{base}{path}")) };
        chat.call(request.clone()).await.error(404, "not found");
        chat.call(request.without_key()).await.error(404, "not found");
    }
}

#[tokio::test]
async fn an_unknown_path_answers_404() {
    for path in [
        "/",
        "/v1",
        "/v2/config",
        "/v1/nothing",
        "/v1/config/more",
        "/v1/conversations/c/messages/m/more",
        "/v1/conversation/c",
        "/V1/config",
        "/config",
        "/v1/%00",
        "/v1/conf%69g2",
    ] {
        is_no_route(Method::GET, path).await;
    }
}

#[tokio::test]
async fn a_wrong_method_answers_404() {
    for (method, path) in [
        (Method::POST, "/v1/config"),
        (Method::PUT, "/v1/config"),
        (Method::GET, "/v1/users"),
        (Method::DELETE, "/v1/users"),
        (Method::PATCH, "/v1/conversations"),
        (Method::PUT, "/v1/conversations/c/messages"),
        (Method::GET, "/v1/conversations/c/messages/m"),
        (Method::POST, "/v1/conversations/c/messages/m"),
        (Method::GET, "/v1/conversations/c/typing"),
        (Method::GET, "/v1/conversations/c/upload"),
        (Method::DELETE, "/v1/conversations/c/upload"),
    ] {
        is_no_route(method, path).await;
    }
}

#[tokio::test]
async fn a_body_that_nobody_reads_does_no_harm() {
    let chat = Chat::new().await;
    for body in [&b"{"[..], b"\xff\x00"] {
        let request = Request { method: Method::POST, ..Request::get("/v1/nothing") };
        chat.call(request.body("application/json", body)).await.error(404, "not found");
    }
}
