//! POST /v1/conversations/{id}/upload with a file. `direct` tests the same route with a JSON body, and `storage` tests
//! the use of Supabase Storage.

mod direct;
mod storage;

use reqwest::Method;
use serde_json::{Value, json};
use support::{Chat, Request, assert_keys, aws_limits, setting};

/// The largest upload, 10 MB.
const MAX: usize = 10_485_760;

const JPEG: &[u8] = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00\xff\xd9";
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00\x1f\x15\xc4\x89";
const GIF: &[u8] = b"GIF89a\x01\x00\x01\x00\x00\x00\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x00;";
const WEBP: &[u8] =
    b"RIFF\x1a\x00\x00\x00WEBPVP8L\x0d\x00\x00\x00\x2f\x00\x00\x00\x10\x07\x10\x11\x11\x88\x88\xfe\x07\x00";
const HEIC: &[u8] = b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic\x00\x00\x00\x00";
const AVIF: &[u8] = b"\x00\x00\x00\x1cftypavif\x00\x00\x00\x00avifmif1miaf\x00\x00\x00\x00";
const HTML: &[u8] = b"<!doctype html><script>alert(1)</script>";

fn request(chat: &Chat) -> Request {
    file(chat, "image/png", PNG)
}

every_route!(request);
conversation_route!(request);

/// Makes an upload of a file with this declared type.
fn file(chat: &Chat, mime: &str, bytes: &[u8]) -> Request {
    multipart(chat, &format!("name=\"file\"; filename=\"photo.png\"\r\ncontent-type: {mime}"), bytes)
}

/// Makes an upload with one part.
fn multipart(chat: &Chat, disposition: &str, bytes: &[u8]) -> Request {
    let head = format!("--edge\r\ncontent-disposition: form-data; {disposition}\r\n\r\n");
    let body = [head.as_bytes(), bytes, b"\r\n--edge--\r\n"].concat();
    Request { method: Method::POST, ..Request::get(chat.path("upload")) }
        .body("multipart/form-data; boundary=edge", body)
}

/// Makes an image of `size` bytes.
fn image_of(size: usize) -> Vec<u8> {
    let mut bytes = PNG.to_vec();
    bytes.resize(size, b'x');
    bytes
}

/// Asserts that the URL in a response serves these bytes with this type, cacheable for a year, under the documented path.
async fn serves(chat: &Chat, response: &Value, bytes: &[u8], mime: &str, extension: &str) {
    let path = response["path"].as_str().unwrap();
    let rest = path.strip_prefix(&format!("{}/{}/", chat.tenant, chat.conversation)).expect(path);
    let name = rest.strip_suffix(&format!(".{extension}")).expect(path);
    assert!(name.len() >= 32 && !name.contains('/'), "{path} is guessable");
    assert_eq!(response["url"], format!("{}/storage/v1/object/public/chat/{path}", setting("SUPABASE_URL")));
    let object = chat.fetch(chat.request(Method::GET, response["url"].as_str().unwrap())).await;
    assert_eq!((object.status, object.header("content-type")), (200, mime));
    assert!(object.header("cache-control").contains("max-age=31536000"), "{:?}", object.headers);
    assert!(object.header("cache-control").contains("immutable"), "{:?}", object.headers);
    assert!(object.body == bytes, "{} of {} bytes, or others", object.body.len(), bytes.len());
}

#[tokio::test]
async fn every_image_type_passes_and_its_url_serves_the_same_bytes() {
    let chat = Chat::new().await;
    for (bytes, mime, extension) in [
        (JPEG, "image/jpeg", "jpg"),
        (PNG, "image/png", "png"),
        (GIF, "image/gif", "gif"),
        (WEBP, "image/webp", "webp"),
        (HEIC, "image/heic", "heic"),
    ] {
        let response = chat.call(file(&chat, mime, bytes)).await.ok();
        assert_keys(&response, &["url", "path"]);
        serves(&chat, &response, bytes, mime, extension).await;
    }
}

#[tokio::test]
async fn the_same_file_twice_is_two_objects() {
    let chat = Chat::new().await;
    let (one, other) = (chat.call(request(&chat)).await.ok(), chat.call(request(&chat)).await.ok());
    assert_ne!(one["path"], other["path"]);
}

#[tokio::test]
async fn the_type_is_what_the_bytes_are_whatever_was_declared() {
    let chat = Chat::new().await;
    for declared in ["image/png", "IMAGE/PNG", "image/heic; x=y"] {
        let response = chat.call(file(&chat, declared, JPEG)).await.ok();
        serves(&chat, &response, JPEG, "image/jpeg", "jpg").await;
    }
}

#[tokio::test]
async fn a_declared_type_that_is_not_allowed_answers_415() {
    let chat = Chat::new().await;
    for mime in ["image/svg+xml", "image/avif", "text/html", "application/pdf", "nonsense"] {
        chat.refuses(file(&chat, mime, PNG), 415, &format!("unsupported mime: {mime}")).await;
    }
}

/// Each of these types was sent by a client: curl, Chromium on Linux, Python's requests, Android or React Native.
#[tokio::test]
async fn a_declared_type_that_is_generic_absent_or_an_alias_leaves_it_to_the_bytes() {
    let chat = Chat::new().await;
    let undeclared = |bytes| multipart(&chat, "name=\"file\"; filename=\"photo.png\"", bytes);
    let nameless = |bytes| multipart(&chat, "name=\"file\"", bytes);
    for declared in [
        "application/octet-stream",
        "binary/octet-stream",
        "text/plain",
        "text/plain; charset=utf-8",
        "image/*",
        "multipart/form-data",
        "image/jpg",
        "image/heif",
        "",
    ] {
        let response = chat.call(file(&chat, declared, WEBP)).await.ok();
        serves(&chat, &response, WEBP, "image/webp", "webp").await;
        chat.refuses(file(&chat, declared, HTML), 415, "unsupported mime: application/octet-stream").await;
    }
    for request in [undeclared(HEIC), nameless(HEIC)] {
        serves(&chat, &chat.call(request).await.ok(), HEIC, "image/heic", "heic").await;
    }
    chat.refuses(undeclared(HTML), 415, "unsupported mime: application/octet-stream").await;
}

#[tokio::test]
async fn bytes_that_are_no_allowed_image_answer_415() {
    let chat = Chat::new().await;
    for bytes in [HTML, AVIF, &PNG[1..], &PNG[..4], b"GIF", b"RIFF\x00\x00\x00\x00WAVE", b"%PDF-1.7", b"\x00"]
    {
        chat.refuses(file(&chat, "image/png", bytes), 415, "unsupported mime: application/octet-stream")
            .await;
    }
}

#[tokio::test]
async fn a_form_without_a_file_answers_400() {
    let chat = Chat::new().await;
    for disposition in
        ["name=\"photo\"; filename=\"photo.png\"\r\ncontent-type: image/png", "name=\"File\"", "x=y"]
    {
        chat.refuses(multipart(&chat, disposition, PNG), 400, "file is required").await;
    }
    chat.refuses(file(&chat, "image/png", b""), 400, "file is required").await;
    chat.refuses(
        request(&chat).body("multipart/form-data; boundary=edge", "--edge--\r\n"),
        400,
        "file is required",
    )
    .await;
}

#[tokio::test]
async fn the_file_is_found_among_other_parts_and_its_name_does_not_matter() {
    let chat = Chat::new().await;
    let other = "--edge\r\ncontent-disposition: form-data; name=\"note\"\r\n\r\nfile\r\n";
    for name in ["../../etc/passwd", "ä💬.png", "a\\\"b.png", ""] {
        let file =
            multipart(&chat, &format!("name=\"file\"; filename=\"{name}\"\r\ncontent-type: image/png"), PNG);
        let body = [other.as_bytes(), &file.body].concat();
        let response = chat.call(Request { body, ..file }).await.ok();
        serves(&chat, &response, PNG, "image/png", "png").await;
    }
}

#[tokio::test]
async fn a_broken_form_answers_400() {
    let chat = Chat::new().await;
    let whole = request(&chat).body;
    let form = |content_type: &str, body: &[u8]| request(&chat).body(content_type, body);
    for broken in [
        form("multipart/form-data", &whole),
        form("multipart/form-data; boundary=", &whole),
        form("multipart/form-data; boundary=other", &whole),
        form("multipart/form-data; boundary=edge", &whole[..whole.len() - 20]),
        form("multipart/form-data; boundary=edge", &whole[..30]),
        form("multipart/form-data; boundary=edge", b""),
        form("multipart/form-data; boundary=edge", HTML),
    ] {
        chat.refuses(broken, 400, "invalid multipart").await;
    }
    chat.call(request(&chat)).await.ok();
}

#[tokio::test]
async fn a_body_of_another_content_type_answers_400() {
    let chat = Chat::new().await;
    let text = "content-type must be multipart/form-data or application/json";
    for content_type in
        ["", "image/png", "text/plain", "multipart/mixed; boundary=edge", "application/x-nobody-knows"]
    {
        chat.refuses(request(&chat).body(content_type, PNG), 400, text).await;
    }
}

#[tokio::test]
async fn input_is_checked_after_the_key_and_before_the_conversation() {
    let mut chat = Chat::new().await;
    let bad = |chat: &Chat| file(chat, "text/html", HTML);
    chat.refuses(bad(&chat).with_key("pk_"), 401, "invalid api key").await;
    chat.conversation = "c_abc".to_owned();
    chat.refuses(bad(&chat), 415, "unsupported mime: text/html").await;
}

#[tokio::test]
async fn a_refused_upload_stores_no_file() {
    let (mut chat, stranger) = (Chat::new().await, Chat::new().await);
    let files = |chat: &Chat| {
        let folder = format!("{}/storage/chat/{}/{}", setting("DATA_DIR"), chat.tenant, chat.conversation);
        std::fs::read_dir(folder).map_or(0, Iterator::count)
    };
    chat.call(request(&chat)).await.ok();
    assert_eq!(files(&chat), 1);
    stranger.refuses(request(&chat), 404, "conversation not found").await;
    chat.refuses(request(&chat).without_key(), 401, "missing x-tinychat-api-key header").await;
    chat.refuses(file(&chat, "image/png", HTML), 415, "unsupported mime: application/octet-stream").await;
    assert_eq!(files(&chat), 1);
    chat.conversation = uuid::Uuid::new_v4().to_string();
    chat.refuses(request(&chat), 404, "conversation not found").await;
    assert_eq!((files(&chat), files(&stranger)), (0, 0));
}

#[tokio::test]
async fn ten_megabytes_pass_and_a_byte_more_does_not() {
    let chat = Chat::new().await;
    let most = image_of(MAX);
    let (passes, fails) = (
        chat.call(file(&chat, "image/png", &most)).await,
        chat.call(file(&chat, "image/png", &image_of(MAX + 1))).await,
    );
    if aws_limits() {
        for response in [passes, fails] {
            assert_eq!(
                (response.status, response.json()),
                (413, json!({ "message": "Request Entity Too Large" }))
            );
        }
    } else {
        serves(&chat, &passes.ok(), &most, "image/png", "png").await;
        fails.error(413, "file too large (>10 MB)");
    }
}

#[tokio::test]
async fn four_megabytes_pass_whatever_the_limits() {
    let chat = Chat::new().await;
    let bytes = image_of(4_000_000);
    let response = chat.call(file(&chat, "image/png", &bytes)).await.ok();
    serves(&chat, &response, &bytes, "image/png", "png").await;
}
