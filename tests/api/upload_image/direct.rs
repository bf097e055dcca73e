//! POST /v1/conversations/{id}/upload with a JSON body, which returns a signed URL for an upload directly to Storage.

use super::{HEIC, JPEG, MAX, PNG, image_of, serves};
use reqwest::Method;
use serde_json::{Value, json};
use support::checks::required_string;
use support::{Chat, Request, Response, assert_keys, assert_time};

fn request(chat: &Chat) -> Request {
    Request::post(chat.path("upload"), &json!({ "content_type": "image/png", "size": PNG.len() }))
}

every_route!(request);
conversation_route!(request);
checks! { request: json_route {
    a_body_that_is_no_json_object_answers_400
    a_bad_body_with_a_bad_key_answers_401
    a_bad_body_from_an_overage_tenant_answers_403
    fields_that_nobody_knows_are_ignored
} }

/// Requests a direct upload of a file. Returns the response.
async fn sign(chat: &Chat, mime: &str, size: usize) -> Value {
    chat.call(request(chat).with(&json!({ "content_type": mime, "size": size }))).await.ok()
}

/// Uploads a file as a response describes, with some headers set to other values.
async fn put(chat: &Chat, response: &Value, changes: &[(&str, &str)], bytes: Vec<u8>) -> Response {
    let upload = &response["upload"];
    let mut request = chat.request(Method::PUT, upload["url"].as_str().unwrap());
    for (name, value) in upload["headers"].as_object().unwrap() {
        let name = name.to_lowercase();
        let other = changes.iter().find(|(changed, _)| *changed == name).map(|(_, value)| *value);
        // The HTTP client sets the length. A browser doesn't allow it to be set.
        if name != "content-length" {
            request = request.header(&name, other.unwrap_or(value.as_str().unwrap()));
        }
    }
    chat.fetch(request.body(bytes)).await
}

async fn is_absent(chat: &Chat, response: &Value) -> bool {
    !(200..300)
        .contains(&chat.fetch(chat.request(Method::GET, response["url"].as_str().unwrap())).await.status)
}

#[tokio::test]
async fn a_direct_upload_takes_the_full_ten_megabytes() {
    let chat = Chat::new().await;
    let response = sign(&chat, "image/png", MAX).await;
    assert_keys(&response, &["url", "path", "upload"]);
    assert_keys(&response["upload"], &["method", "url", "headers", "expires_at"]);
    assert_eq!(response["upload"]["method"], "PUT");
    assert_time(&response["upload"]["expires_at"]);
    let now = chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Millis, true);
    assert!(response["upload"]["expires_at"].as_str() > Some(&now));
    assert!(is_absent(&chat, &response).await, "nothing is stored by signing");
    let bytes = image_of(MAX);
    assert_eq!(put(&chat, &response, &[], bytes.clone()).await.status, 200);
    serves(&chat, &response, &bytes, "image/png", "png").await;
}

#[tokio::test]
async fn a_direct_upload_is_of_the_type_that_was_asked_for() {
    let chat = Chat::new().await;
    for (bytes, asked, mime, extension) in [
        (JPEG, "image/jpeg", "image/jpeg", "jpg"),
        (JPEG, "image/jpg", "image/jpeg", "jpg"),
        (HEIC, "image/heif", "image/heic", "heic"),
    ] {
        let response = sign(&chat, asked, bytes.len()).await;
        assert_eq!(put(&chat, &response, &[], bytes.to_vec()).await.status, 200);
        serves(&chat, &response, bytes, mime, extension).await;
    }
}

#[tokio::test]
async fn a_direct_upload_of_another_type_or_length_is_refused() {
    let chat = Chat::new().await;
    let response = sign(&chat, "image/png", PNG.len()).await;
    for (changes, bytes) in [
        (&[("content-type", "text/html")][..], PNG.to_vec()),
        (&[("content-type", "image/jpeg")], PNG.to_vec()),
        (&[("cache-control", "no-store")], PNG.to_vec()),
        (&[], image_of(PNG.len() + 1)),
        (&[], PNG[1..].to_vec()),
        (&[], Vec::new()),
    ] {
        let refused = put(&chat, &response, changes, bytes).await;
        assert!((400..500).contains(&refused.status), "{changes:?}: {}", refused.status);
        assert!(is_absent(&chat, &response).await);
    }
    assert_eq!(put(&chat, &response, &[], PNG.to_vec()).await.status, 200);
}

#[tokio::test]
async fn a_direct_uploads_url_is_good_for_one_path_only() {
    let chat = Chat::new().await;
    let (response, other) =
        (sign(&chat, "image/png", PNG.len()).await, sign(&chat, "image/png", PNG.len()).await);
    let url = response["upload"]["url"].as_str().unwrap();
    let paths = [response["path"].as_str().unwrap(), other["path"].as_str().unwrap()];
    assert!(url.contains(paths[0]), "{url}");
    let mut moved = response.clone();
    moved["upload"]["url"] = json!(url.replace(paths[0], paths[1]));
    assert_eq!(put(&chat, &moved, &[], PNG.to_vec()).await.status, 403);
    let mut unsigned = response.clone();
    unsigned["upload"]["url"] = json!(url.split('?').next());
    assert!((400..500).contains(&put(&chat, &unsigned, &[], PNG.to_vec()).await.status));
    assert!(is_absent(&chat, &response).await && is_absent(&chat, &other).await);
}

#[tokio::test]
async fn a_direct_upload_of_a_type_that_is_not_allowed_answers_415() {
    let chat = Chat::new().await;
    for mime in ["image/svg+xml", "text/html", "png", "application/octet-stream", "image/*"] {
        let request = request(&chat).with_field("content_type", mime);
        chat.refuses(request, 415, &format!("unsupported mime: {mime}")).await;
    }
    required_string(request, "content_type", 255).await;
}

#[tokio::test]
async fn a_direct_upload_is_1_byte_to_10_mb() {
    let chat = Chat::new().await;
    for size in [1, MAX] {
        sign(&chat, "image/png", size).await;
    }
    let whole = request(&chat).with_field("size", 9_000_000.0);
    assert!(String::from_utf8_lossy(&whole.body).contains("9000000.0"));
    chat.call(whole).await.ok();
    for size in [json!(MAX + 1), json!(u64::MAX), json!(1e300)] {
        chat.refuses(request(&chat).with_field("size", size), 413, "file too large (>10 MB)").await;
    }
    chat.refuses(request(&chat).without_field("size"), 400, "size is required").await;
    chat.refuses(request(&chat).with_field("size", Value::Null), 400, "size is required").await;
    for size in [json!(0), json!(-1), json!(1.5), json!("1"), json!([1]), json!(true)] {
        chat.refuses(
            request(&chat).with_field("size", size),
            400,
            "size must be a whole number of at least 1",
        )
        .await;
    }
}
