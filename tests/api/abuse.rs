//! Requests of attackers and of broken clients. Every response must be a documented one, stored data must be what was sent,
//! and nothing else may change.

use reqwest::Method;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use support::{Channel, Chat, Request, Response, aws_limits, setting};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use uuid::Uuid;

/// Texts with a special meaning in SQL, JSON, a shell, a log, a terminal, a browser or printf.
const TEXTS: [&str; 24] = [
    "'; drop table tinychat.messages; --",
    "' or '1'='1",
    "\\'; select pg_sleep(10); --",
    "$1 $$ ${x} #{x} {{x}} %s %n %00 $(id) `id`",
    "\"}, \"role\": \"admin\", \"x\": {\"",
    "{\"$ne\": null}",
    "\\u0000 \\x00 \\",
    "null",
    "\u{202e}txt.exe\u{202c} \u{2066}abc\u{2069}", // bidirectional overrides
    "a\u{200b}d\u{200c}a\u{200d}\u{feff}",         // zero-width
    "👩‍👩‍👧‍👦🏳️‍🌈🇩🇪👍🏿",                                    // clusters of many code points
    "𝒜𠜎\u{10ffff}",                               // four bytes in UTF-8, and the last code point
    "\u{fffd}\u{fffe}\u{ffff}",
    "Z\u{35b}\u{316}\u{321}a\u{327}\u{34e}lgo",
    "e\u{301} is not \u{e9}", // not normalized
    "\r\nset-cookie: a=b\r\n\r\n<html>",
    "line\u{2028}separators\u{2029}\u{85}\u{b}",
    "\u{1b}[2J\u{1b}]0;owned\u{7}\u{8}\u{7f}",
    "<script>alert(1)</script><!--",
    "=cmd|' /c calc'!A1",
    "../../../etc/passwd",
    " leading and trailing \t",
    "ﷺﷺﷺ",
    "ＡＤＡ ⒶⒹⒶ аdа", // looks the same
];

/// Sends a request as bytes, which may be invalid. Reads the response until the connection ends.
async fn raw(chunks: &[&[u8]], pause: Duration) -> (u16, String) {
    let address = setting("API_URL").replacen("http://", "", 1);
    let mut socket = TcpStream::connect(address).await.unwrap();
    for chunk in chunks {
        if socket.write_all(chunk).await.is_err() {
            break; // the server has refused the request
        }
        tokio::time::sleep(pause).await;
    }
    let mut response = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(10), socket.read_to_end(&mut response)).await;
    let _reset = read.expect("an answer");
    let response = String::from_utf8_lossy(&response).into_owned();
    let status = response.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    (status, response)
}

/// Makes the head of a request, with the chat's key.
fn head(chat: &Chat, line: &str, headers: &str) -> Vec<u8> {
    let key = &chat.key;
    format!("{line} HTTP/1.1\r\nhost: x\r\nconnection: close\r\nx-tinychat-api-key: {key}\r\n{headers}\r\n")
        .into()
}

/// Percent-encodes every byte of a text.
fn encoded(text: &str) -> String {
    let hex = |digit: u8| char::from_digit(digit.into(), 16).unwrap();
    text.bytes().flat_map(|byte| ['%', hex(byte >> 4), hex(byte & 15)]).collect()
}

#[tokio::test]
async fn every_text_comes_back_as_it_was_sent_from_wherever_it_was_put() {
    let chat = Chat::without_messages().await;
    let mut channel = Channel::join(&chat.conversation).await;
    for text in TEXTS {
        let sent = chat.send_with(&json!({ "sender_id": text, "receiver_id": text, "body": text })).await;
        for field in ["sender_id", "receiver_id", "body"] {
            assert_eq!(sent[field], text);
        }
        assert_eq!(channel.next("message").await["message"], sent);
        assert_eq!(chat.history("?limit=1").await[0]["body"], text);
        let about =
            json!({ "user_id": text, "name": text, "email": text, "notification_prefs": { text: [text] } });
        let user = chat.call(Request::post("/v1/users", &about)).await.ok();
        for field in ["user_id", "name", "email"] {
            assert_eq!(user["user"][field], text);
        }
        assert_eq!(user["user"]["notification_prefs"], json!({ text: [text] }));
        let support = json!({ "kind": "support", "external_ref": text, "participants": [text] });
        let created = chat.call(Request::post("/v1/conversations", &support)).await.ok();
        assert_eq!(chat.call(Request::post("/v1/conversations", &support)).await.ok(), created);
        let mut listed = created["conversation"].clone();
        listed["unread_count"] = json!(0);
        assert_eq!(chat.conversations_of(&encoded(text)).await, [listed]);
        let typing = json!({ "sender_id": text, "sender_name": text });
        chat.call(Request::post(chat.path("typing"), &typing)).await.ok();
        assert_eq!(channel.next("typing").await, json!({ "senderId": text, "senderName": text }));
    }
}

#[tokio::test]
async fn what_looks_alike_is_not_the_same() {
    let chat = Chat::without_messages().await;
    for (one, other) in [("e\u{301}", "\u{e9}"), ("ada", "аda"), ("ada", "ada\u{200b}"), ("ada", "ADA")] {
        let message = chat.send(one, "mine").await;
        let path = chat.path(&format!("messages/{}", message["id"].as_str().unwrap()));
        let theft = Request::delete(path, &json!({ "sender_id": other }));
        chat.refuses(theft, 403, "only the sender may change this message").await;
    }
}

#[tokio::test]
async fn numbers_out_of_all_proportion_are_bounded_or_refused() {
    let chat = Chat::new().await;
    for limit in
        ["200", "201", "2147483648", "9223372036854775808", &"9".repeat(5_000), "00000000000000000000201"]
    {
        assert_eq!(chat.history(&format!("?limit={limit}")).await.len(), 1, "{limit}");
    }
    for limit in ["-1", "0", "000", "1e3", "1.0", "0x10", "+1", "%201", "NaN", "Infinity", "%00", "١"] {
        let request = Request::get(chat.path(&format!("messages?limit={limit}")));
        chat.refuses(request, 400, "limit must be a whole number of at least 1").await;
    }
    for size in ["1.5", "-1", "0", "\"10\"", "true", "1e-400"] {
        let body = format!("{{\"content_type\": \"image/png\", \"size\": {size}}}");
        let request = Request::post(chat.path("upload"), &json!({})).body("application/json", body);
        chat.refuses(request, 400, "size must be a whole number of at least 1").await;
    }
    let too_large = json!({ "content_type": "image/png", "size": u64::MAX });
    chat.refuses(Request::post(chat.path("upload"), &too_large), 413, "file too large (>10 MB)").await;
    let about = |prefs: &str| {
        Request::post("/v1/users", &json!({}))
            .body("application/json", format!("{{\"user_id\": \"ada\", \"notification_prefs\": {prefs}}}"))
    };
    for number in ["1e308", "-0", "123456789012345678901234567890", "1e-400", "0.1"] {
        chat.call(about(&format!("{{\"n\": {number}}}"))).await.ok();
    }
    chat.refuses(about("{\"n\": 1e400}"), 400, "invalid json").await;
}

#[tokio::test]
async fn a_cursor_from_the_end_of_time_is_one_or_none() {
    let chat = Chat::new().await;
    for (before, count) in [
        ("9999-12-31T23:59:59.999Z", 1),
        ("9999-12-31T23:59:59.999-23:59", 1),
        ("0001-01-01T00:00:00Z", 0),
        ("2026-06-30T23:59:60Z", 0), // a leap second
    ] {
        assert_eq!(chat.history(&format!("?before={before}")).await.len(), count, "{before}");
    }
    for before in [
        "-0001-01-01T00:00:00",
        "-4713-01-01T00:00:00",
        "-262143-01-01T00:00:00",
        "%2B10000-01-01T00:00:00",
        "%2B262142-12-31T23:59:59.999",
        "%2B294277-01-01T00:00:00",
        "2026-1-15T1:2:3",
        "2026-01-15T10:21:09.114Z%00",
        "infinity",
        "now",
        "epoch",
    ] {
        let request = Request::get(chat.path(&format!("messages?before={before}")));
        chat.refuses(request, 400, "before must be an ISO-8601 time").await;
    }
}

#[tokio::test]
async fn deep_nesting_is_kept_or_refused() {
    let chat = Chat::new().await;
    let about = |depth: usize| {
        let prefs = format!("{{\"a\": {}{}}}", "[".repeat(depth), "]".repeat(depth));
        Request::post("/v1/users", &json!({}))
            .body("application/json", format!("{{\"user_id\": \"ada\", \"notification_prefs\": {prefs}}}"))
    };
    chat.call(about(100)).await.ok();
    for depth in [128, 5_000, 500_000] {
        chat.refuses(about(depth), 400, "invalid json").await;
    }
    let message = |value: &str| {
        Request::post(chat.path("messages"), &json!({}))
            .body("application/json", format!("{{\"sender_id\": \"ada\", \"body\": \"hi\", \"x\": {value}}}"))
    };
    chat.call(message(&format!("{{\"a\":{}1{}}}", "[".repeat(50), "]".repeat(50)))).await.ok();
}

#[tokio::test]
async fn of_a_repeated_field_the_last_counts_and_of_a_repeated_parameter_the_first() {
    let chat = Chat::without_messages().await;
    let with_body =
        |body: &str| Request::post(chat.path("messages"), &json!({})).body("application/json", body);
    let sent = chat
        .call(with_body(r#"{"sender_id": "bob", "sender_id": "ada", "body": 1, "body": "hi"}"#))
        .await
        .ok();
    assert_eq!((&sent["message"]["sender_id"], &sent["message"]["body"]), (&json!("ada"), &json!("hi")));
    let odd = with_body(r#"{"sender_id": "ada", "body": "hi", "bod\u0079": ["not", "text"]}"#);
    chat.refuses(odd, 400, "body must be a string").await;
    chat.send("ada", "another").await;
    assert_eq!(chat.history("?limit=1&limit=200").await.len(), 1);
    assert_eq!(chat.history("?limit=2&limit=nonsense&LIMIT=0&limit[]=0").await.len(), 2);
    let both = chat.conversations_of("ada&user_id=nobody").await;
    assert_eq!(both.len(), 1);
}

#[tokio::test]
async fn a_body_that_trickles_in_is_read_to_its_end() {
    let chat = Chat::without_messages().await;
    let body = json!({ "sender_id": "ada", "body": "💬 slowly" }).to_string();
    let line = format!("POST {}", chat.path("messages"));
    let mut slow = vec![head(&chat, &line, &format!("content-length: {}\r\n", body.len()))];
    slow.extend(body.bytes().map(|byte| vec![byte]));
    let mut chunked =
        vec![head(&chat, &line, "transfer-encoding: chunked\r\ncontent-type: application/json\r\n")];
    chunked.extend(body.bytes().map(|byte| [b"1;x=y\r\n", &[byte][..], b"\r\n"].concat()));
    chunked.push(b"0\r\ntrailer: x\r\n\r\n".to_vec());
    for request in [slow, chunked] {
        let chunks: Vec<_> = request.iter().map(Vec::as_slice).collect();
        let (status, response) = raw(&chunks, Duration::from_millis(2)).await;
        assert_eq!(status, 200, "{response}");
    }
    assert_eq!(chat.history("").await.len(), 2);
}

#[tokio::test]
async fn a_request_that_never_ends_or_makes_no_sense_stores_nothing_and_stops_nobody() {
    let chat = Chat::new().await;
    let rows = chat.rows().await;
    let line = format!("POST {}", chat.path("messages"));
    let body: &[u8] = br#"{"sender_id": "ada", "body": "hi"}"#;
    // The client ends these requests in the middle.
    let address = setting("API_URL").replacen("http://", "", 1);
    let mut idle = Vec::new();
    for _ in 0..50 {
        let mut socket = TcpStream::connect(&address).await.unwrap();
        socket.write_all(&head(&chat, &line, "content-length: 1000\r\n")).await.unwrap();
        socket.write_all(body).await.unwrap();
        idle.push(socket);
    }
    chat.call(Request::get("/v1/config")).await.ok();
    drop(idle);
    for headers in [
        "transfer-encoding: chunked\r\ncontent-length: 5\r\n", // request smuggling
        "content-length: 5\r\ncontent-length: 6\r\n",
        "content-length: -1\r\n",
        "transfer-encoding: chunked\r\n",
        "no colon\r\n",
        "a\0b: c\r\n",
    ] {
        let (status, response) =
            raw(&[&head(&chat, &line, headers), b"zz\r\nnot a chunk\r\n"], Duration::ZERO).await;
        assert!(status != 200 && !response.contains("hi"), "{headers}: {response}");
    }
    assert_eq!(chat.rows().await, rows);
    chat.call(Request::get("/v1/config")).await.ok();
}

#[tokio::test]
async fn a_flood_of_headers_changes_nothing_but_the_answer() {
    let chat = Chat::new().await;
    let many = |count: usize, size: usize| -> String {
        (0..count)
            .map(|number| format!("x-flood-{number}: {}\r\n", "x".repeat(size)))
            .collect::<Vec<_>>()
            .concat()
    };
    let get = |headers: &str| head(&chat, "GET /v1/config", headers);
    let (status, response) = raw(&[&get(&many(80, 50))], Duration::ZERO).await;
    assert_eq!(status, 200, "{response}");
    let (status, response) = raw(&[&get(&many(80, 1_000))], Duration::ZERO).await;
    assert_eq!(status, if aws_limits() { 431 } else { 200 }, "{response}");
    let (status, response) = raw(&[&get(&many(5_000, 100))], Duration::ZERO).await;
    assert!(status != 200, "{response}");
    for (headers, expected) in [
        (format!("x-tinychat-api-key: {}\r\n", chat.key), 401), // two keys are joined to an invalid one
        ("x-tinychat-api-key:\r\n".to_owned(), 401),
        (format!("cookie: x-tinychat-api-key={}\r\n", Uuid::new_v4()), 200),
        (
            "x-http-method-override: DELETE\r\nx-original-url: /v1/users\r\nx-rewrite-url: /\r\n".to_owned(),
            200,
        ),
        (
            "x-forwarded-for: 127.0.0.1\r\nx-forwarded-host: evil.example\r\nforwarded: for=1\r\n".to_owned(),
            200,
        ),
        (
            "accept: text/html\r\naccept-encoding: br\r\nrange: bytes=0-1\r\nexpect: 100-continue\r\n"
                .to_owned(),
            200,
        ),
    ] {
        let (status, response) = raw(&[&get(&headers)], Duration::ZERO).await;
        assert_eq!(status, expected, "{headers}: {response}");
        assert!(!response.contains("evil.example"), "{response}");
    }
    chat.call(Request::get("/v1/config")).await.ok();
}

#[tokio::test]
async fn a_path_leads_where_it_says_or_nowhere() {
    let chat = Chat::new().await;
    let (id, rows) = (chat.conversation.as_str(), chat.rows().await);
    let double = encoded(&encoded("/"));
    for path in [
        format!("/v1/conversations/{id}%2fmessages"),
        format!("/v1/conversations/{id}{double}messages"),
        format!("/v1/conversations/..%2f{id}/messages"),
        format!("/v1/conversations/{id}%00/messages"),
        format!("/v1/conversations/{id};a=b/messages"),
        format!("/v1/conversations/{id}/messages/"),
        format!("/v1/conversations/{id}//messages"),
        format!("/v1/conversations/./{id}/messages"),
        format!("/v1/conversations/{id}/../{id}/messages"),
        format!("/v1/conversations/{id}/%2e%2e/{id}/messages"),
        format!("/V1/conversations/{id}/messages"),
        format!("/v1/Conversations/{id}/messages"),
        format!("/api/api/v1/conversations/{id}/messages"),
        format!("//v1/conversations/{id}/messages"),
        format!("/v1/conversations/{id}\\messages"),
        format!("/v1/conversations/{{id}}/messages?id={id}"),
        "/v1".to_owned(),
        "/".to_owned(),
        "/v1/config/..".to_owned(),
        "/.env".to_owned(),
        "/%2e%2e/%2e%2e/etc/passwd".to_owned(),
        "/v1/%c0%ae%c0%ae/config".to_owned(),
        format!("/{}", "a/".repeat(2_000)),
    ] {
        let (status, response) = raw(&[&head(&chat, &format!("GET {path}"), "")], Duration::ZERO).await;
        let body = response.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        assert_eq!(status, 404, "{path}: {response}");
        assert!(
            [r#"{"error":"not found"}"#, r#"{"error":"conversation not found"}"#].contains(&body),
            "{path}: {body}"
        );
    }
    assert_eq!(chat.rows().await, rows);
}

#[tokio::test]
async fn a_method_does_what_it_says_or_nothing() {
    let chat = Chat::new().await;
    let rows = chat.rows().await;
    for method in ["PUT", "TRACE", "HEAD", "get", "Post", "PROPFIND", "PRI", "X"] {
        for path in ["/v1/config".to_owned(), chat.path("messages"), chat.message_path()] {
            let (status, response) =
                raw(&[&head(&chat, &format!("{method} {path}"), "")], Duration::ZERO).await;
            assert_eq!(status, 404, "{method} {path}: {response}");
            assert!(!response.contains(&chat.key), "{method} {path}: {response}"); // a TRACE would
        }
    }
    let with_body = Request {
        method: Method::GET,
        ..Request::post(chat.path("messages"), &json!({ "sender_id": "ada", "body": "hi" }))
    };
    chat.call(with_body).await.ok();
    let overridden = Request::post(
        format!("{}?_method=DELETE", chat.path("typing")),
        &json!({ "sender_id": "ada", "_method": "DELETE" }),
    );
    chat.call(overridden).await.ok();
    assert_eq!(chat.rows().await, rows);
}

/// Makes an upload with these parts: content disposition, type and content.
fn upload(chat: &Chat, parts: &[(&str, &str, &[u8])]) -> Request {
    let mut body = Vec::new();
    for (disposition, mime, bytes) in parts {
        let head = format!(
            "--edge\r\ncontent-disposition: form-data; {disposition}\r\ncontent-type: {mime}\r\n\r\n"
        );
        body.extend([head.as_bytes(), bytes, b"\r\n"].concat());
    }
    body.extend(b"--edge--\r\n");
    Request { method: Method::POST, ..Request::get(chat.path("upload")) }
        .body("multipart/form-data; boundary=edge", body)
}

const FILE: &str = "name=\"file\"; filename=\"a.png\"";
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR";

/// Fetches an uploaded file from its public URL.
async fn public(chat: &Chat, response: &Value) -> Response {
    chat.fetch(chat.request(Method::GET, response["url"].as_str().unwrap())).await
}

#[tokio::test]
async fn a_page_or_script_that_poses_as_an_image_is_refused_or_served_as_an_image() {
    let chat = Chat::new().await;
    let svg: &[u8] = b"<svg xmlns=\"http://www.w3.org/2000/svg\" onload=\"alert(1)\"/>";
    for disguised in [
        svg,
        &[b"\xef\xbb\xbf", svg].concat(),
        &[b"<?xml version=\"1.0\"?>", svg].concat(),
        b"<!doctype html><script>alert(1)</script>",
        b"\n\n<html>",
        b"GIF/* */=1",
        b"GIF88a",
        b"%PDF-1.7",
        b"PK\x03\x04",
        b"<!--ftypheic\x00\x00\x00\x00mif1heic--><script>alert(1)</script>",
        b"\x7fELF",
        b"#!/bin/sh",
        &[b" ", PNG].concat(),
    ] {
        for mime in ["image/png", "image/gif", "image/jpeg", "image/webp", "image/heic"] {
            chat.refuses(
                upload(&chat, &[(FILE, mime, disguised)]),
                415,
                "unsupported mime: application/octet-stream",
            )
            .await;
        }
    }
    for mime in [
        "image/svg+xml",
        "text/html",
        "text/javascript",
        "image/svg+xml; image/png",
        "image/png/../html",
        "image/png, text/html",
    ] {
        assert_eq!(chat.call(upload(&chat, &[(FILE, mime, PNG)])).await.status, 415, "{mime}");
    }
    // Files that are an image and a script are served as the image, by type and by name.
    let polyglots: [(&[u8], &str, &str); 3] = [
        (b"GIF89a/*\x00\x00*/=1;alert(document.domain)//", "image/gif", ".gif"),
        (b"\xff\xd8\xff\xe0*/=alert(1);/*<script>alert(1)</script>", "image/jpeg", ".jpg"),
        (b"RIFF\x00\x00\x00\x00WEBPVP8 <html><script>alert(1)</script>", "image/webp", ".webp"),
    ];
    for (bytes, mime, extension) in polyglots {
        let stored = chat
            .call(upload(&chat, &[("name=\"file\"; filename=\"a.html\"", "image/png", bytes)]))
            .await
            .ok();
        assert!(stored["path"].as_str().unwrap().ends_with(extension), "{stored}");
        let served = public(&chat, &stored).await;
        assert_eq!((served.header("content-type"), &served.body[..]), (mime, bytes));
    }
}

/// The image claims to have 65,535 × 65,535 pixels, which would be 17 GB. The file has a few bytes.
#[tokio::test]
async fn an_image_bomb_is_stored_without_going_off() {
    let chat = Chat::new().await;
    let mut bomb = [PNG, b"\x00\x00\xff\xff\x00\x00\xff\xff\x08\x06\x00\x00\x00"].concat();
    bomb.extend(b"\x00\x0f\xff\xffIDATx\x9c\xed\xc1\x01\x01\x00\x00".repeat(1_000));
    let began = Instant::now();
    let stored = chat.call(upload(&chat, &[(FILE, "image/png", &bomb)])).await.ok();
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    assert_eq!(public(&chat, &stored).await.body, bomb);
}

#[tokio::test]
async fn a_files_name_is_never_used() {
    let chat = Chat::new().await;
    let mut stored_files = 0;
    for name in [
        "a.png\"\r\nx-injected: y",
        "a\r\n\r\nb.png",
        "../../../../etc/passwd",
        "..%2f..%2fother",
        "C:\\\\evil.png",
        "a.png\\\"; name=\\\"file2",
        "\u{202e}gnp.exe",
        "nul\\0.png",
        &"x".repeat(5_000),
        "",
    ] {
        let request = upload(&chat, &[(&format!("name=\"file\"; filename=\"{name}\""), "image/png", PNG)]);
        let response = chat.call(request).await;
        if [400, 415].contains(&response.status) {
            continue; // no longer a form, or its part no longer of a type
        }
        let stored = response.ok();
        let path = stored["path"].as_str().unwrap();
        let file = path.strip_prefix(&format!("{}/{}/", chat.tenant, chat.conversation)).expect(path);
        assert!(Uuid::try_parse(file.strip_suffix(".png").expect(path)).is_ok(), "{path}");
        assert!(public(&chat, &stored).await.headers.get("x-injected").is_none());
        stored_files += 1;
    }
    assert!(stored_files >= 5, "only {stored_files} files were stored");
}

#[tokio::test]
async fn of_two_files_in_a_form_the_first_counts() {
    let chat = Chat::new().await;
    let html: &[u8] = b"<html>";
    let gif: &[u8] = b"GIF89a";
    let both = upload(&chat, &[(FILE, "image/png", PNG), (FILE, "image/gif", gif)]);
    let stored = chat.call(both).await.ok();
    assert_eq!(public(&chat, &stored).await.body, PNG);
    let hidden = upload(&chat, &[(FILE, "image/png", html), (FILE, "image/png", PNG)]);
    chat.refuses(hidden, 415, "unsupported mime: application/octet-stream").await;
    let twice = "name=\"file\"; name=\"other\"";
    assert!([200, 400].contains(&chat.call(upload(&chat, &[(twice, "image/png", PNG)])).await.status));
    let long = format!("multipart/form-data; boundary={}", "x".repeat(10_000));
    if !aws_limits() {
        let odd = Request { content_type: long, ..upload(&chat, &[(FILE, "image/png", PNG)]) };
        assert_eq!(chat.call(odd).await.status, 400);
    }
    for content_type in [
        "multipart/form-data",
        "multipart/form-data; boundary=",
        "multipart/mixed; boundary=edge",
        "multipart/form-data; boundary=other",
    ] {
        let odd =
            Request { content_type: content_type.to_owned(), ..upload(&chat, &[(FILE, "image/png", PNG)]) };
        assert_eq!(chat.call(odd).await.status, 400, "{content_type}");
    }
}

#[tokio::test]
async fn a_form_of_very_many_parts_takes_no_longer_than_its_size() {
    let chat = Chat::new().await;
    let part = ("name=\"x\"", "text/plain", &b"\r\n--edg"[..]);
    let mut parts = vec![part; 50_000];
    parts.push((FILE, "image/png", PNG));
    let began = Instant::now();
    chat.call(upload(&chat, &parts)).await.ok();
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
}
