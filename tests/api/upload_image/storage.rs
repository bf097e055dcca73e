//! Supabase Storage: its errors, and the behaviour that the local stand-in copies.

use super::{PNG, file, request};
use axum::Router;
use axum::http::{Method as HttpMethod, StatusCode, Uri};
use axum::response::IntoResponse;
use base64::prelude::{BASE64_STANDARD, Engine};
use reqwest::Method;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use support::lambda::event_of;
use support::{Chat, Function, Request, Response, setting};
use tokio::net::TcpListener;

/// Converts an upload to an event, as API Gateway does.
fn event(chat: &Chat) -> Value {
    let upload = file(chat, "image/png", PNG);
    let mut event = event_of("upload-image", chat, &Request { body: Vec::new(), ..upload.clone() });
    event["body"] = json!(BASE64_STANDARD.encode(upload.body));
    event["isBase64Encoded"] = json!(true);
    event
}

/// Starts a Storage that responds to every PUT with this status and body, and with a Location that accepts everything. Returns
/// its URL and the number of requests.
async fn storage(status: u16, body: &'static str) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let count = Arc::new(AtomicUsize::new(0));
    let (counter, location) = (count.clone(), format!("{url}/elsewhere"));
    let app = Router::new().fallback(async move |_: HttpMethod, uri: Uri| {
        counter.fetch_add(1, Ordering::Relaxed);
        match uri.path() {
            "/elsewhere" => StatusCode::OK.into_response(),
            _ => (StatusCode::from_u16(status).unwrap(), [("location", location)], body).into_response(),
        }
    });
    tokio::spawn(async { axum::serve(listener, app).await });
    (url, count)
}

#[tokio::test]
async fn what_is_no_success_is_a_500_and_no_redirect_is_followed() {
    let chat = Chat::new().await;
    for status in [301, 302, 303, 304, 307, 308, 403, 500] {
        let (url, requests) = storage(status, "").await;
        let mut function = Function::start("upload-image", &[("SUPABASE_URL", &url)]).await;
        let response = function.call(event(&chat)).await;
        assert_eq!(response, (500, json!({ "error": "storage unavailable" })), "{status}");
        assert_eq!(requests.load(Ordering::Relaxed), 1, "{status}");
    }
}

#[tokio::test]
async fn the_code_of_an_s3_error_is_logged_and_not_answered() {
    let chat = Chat::new().await;
    let xml = "<?xml version=\"1.0\"?><Error><Code>InvalidAccessKeyId</Code><Message>secret words</Message></Error>";
    let (url, _) = storage(403, xml).await;
    let mut function = Function::start("upload-image", &[("SUPABASE_URL", &url)]).await;
    assert_eq!(function.call(event(&chat)).await, (500, json!({ "error": "storage unavailable" })));
    let line = function.log_line("InvalidAccessKeyId").await;
    assert!(line.contains("403") && !line.contains("secret words"), "{line}");

    let mut function = Function::start("upload-image", &[("STORAGE_SECRET_ACCESS_KEY", "wrong")]).await;
    function.call(event(&chat)).await;
    let line = function.log_line("SignatureDoesNotMatch").await;
    assert!(!line.contains("X-Amz-"), "{line}");
}

#[tokio::test]
async fn an_address_in_capitals_works() {
    let chat = Chat::new().await;
    let port = reqwest::Url::parse(&setting("SUPABASE_URL")).unwrap().port().unwrap();
    let url = format!("HTTP://LocalHost:{port}/");
    let mut function = Function::start("upload-image", &[("SUPABASE_URL", &url)]).await;
    let (status, response) = function.call(event(&chat)).await;
    assert_eq!(status, 200, "{response}");
    let stored = chat.fetch(chat.request(Method::GET, response["url"].as_str().unwrap())).await;
    assert_eq!((stored.status, &*stored.body), (200, PNG));
}

/// Requests a signed upload of [`PNG`]. Returns its URL and headers.
async fn sign(chat: &Chat) -> Value {
    let body = json!({ "content_type": "image/png", "size": PNG.len() });
    chat.call(Request::post(chat.path("upload"), &body)).await.ok()["upload"].take()
}

/// PUTs [`PNG`] to a URL, with the headers of an upload.
async fn put(chat: &Chat, upload: &Value, url: &str) -> Response {
    let mut request = chat.request(Method::PUT, url);
    for (name, value) in upload["headers"].as_object().unwrap() {
        request = request.header(name, value.as_str().unwrap());
    }
    chat.fetch(request.body(PNG)).await
}

/// Returns a parameter of an upload's URL.
fn parameter(upload: &Value, name: &str) -> String {
    let url = reqwest::Url::parse(upload["url"].as_str().unwrap()).unwrap();
    url.query_pairs().find(|(each, _)| each == name).unwrap().1.into_owned()
}

#[tokio::test]
async fn a_signed_upload_says_no_later_end_than_its_url_has() {
    let chat = Chat::new().await;
    for _ in 0..5 {
        let upload = sign(&chat).await;
        let date = parameter(&upload, "X-Amz-Date");
        let start = chrono::NaiveDateTime::parse_from_str(&date, "%Y%m%dT%H%M%SZ").unwrap();
        let seconds: i64 = parameter(&upload, "X-Amz-Expires").parse().unwrap();
        let end = start.and_utc() + chrono::TimeDelta::seconds(seconds);
        let said: chrono::DateTime<chrono::Utc> = upload["expires_at"].as_str().unwrap().parse().unwrap();
        assert!(said <= end, "{said} is after {end}");
        assert!(said > end - chrono::TimeDelta::seconds(1), "{said} is long before {end}");
    }
}

#[tokio::test]
async fn a_url_that_has_expired_is_a_400_with_the_code_expired_token() {
    let chat = Chat::new().await;
    let upload = sign(&chat).await;
    let url = upload["url"].as_str().unwrap();
    let late = url.replace(&parameter(&upload, "X-Amz-Date"), "20200101T000000Z");
    assert_ne!(late, url);
    let response = put(&chat, &upload, &late).await;
    assert_eq!(response.status, 400);
    assert!(String::from_utf8(response.body).unwrap().contains("<Code>ExpiredToken</Code>"));
    assert_eq!(put(&chat, &upload, url).await.status, 200);
    assert_eq!(put(&chat, &upload, url).await.status, 200, "it is good until it expires");
}

#[tokio::test]
async fn storage_takes_its_own_region_and_two_others() {
    let chat = Chat::new().await;
    for (region, status) in [("us-east-1", 200), ("auto", 200), ("eu-west-9", 500)] {
        let mut function = Function::start("upload-image", &[("STORAGE_REGION", region)]).await;
        assert_eq!(function.call(event(&chat)).await.0, status, "{region}");
    }
}

#[tokio::test]
async fn a_stored_image_is_served_in_parts_and_not_again_to_whoever_has_it() {
    let chat = Chat::new().await;
    let response = chat.call(request(&chat)).await.ok();
    let url = response["url"].as_str().unwrap();
    let get =
        async |name: &str, value: &str| chat.fetch(chat.request(Method::GET, url).header(name, value)).await;
    let whole = get("accept", "*/*").await;
    assert_eq!(whole.header("accept-ranges"), "bytes");
    let e_tag = whole.header("etag");
    let again = get("if-none-match", e_tag).await;
    assert_eq!((again.status, again.body.len()), (304, 0));
    assert_eq!(get("if-none-match", "\"another\"").await.status, 200);

    let part = get("range", "bytes=2-4").await;
    assert_eq!((part.status, &*part.body), (206, &PNG[2..5]));
    assert_eq!(part.header("content-range"), format!("bytes 2-4/{}", PNG.len()));
    assert_eq!(get("range", &format!("bytes={}-", PNG.len())).await.status, 416);

    for (query, disposition) in [
        ("", ""),
        ("?download", "attachment;"),
        ("?download=photo.png", "attachment; filename=photo.png; filename*=UTF-8''photo.png"),
    ] {
        let response = chat.fetch(chat.request(Method::GET, &format!("{url}{query}"))).await;
        assert_eq!((response.status, response.header("content-disposition")), (200, disposition));
    }
}
