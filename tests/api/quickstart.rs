//! The pages in docs/quickstart. Their programs are run as printed, and their output must be the one on the page.

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::Json;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use support::token_key::TokenKey;
use support::{Chat, Request, TIMEOUT, setting};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

/// Returns all code blocks of a page in one language, in their order.
fn blocks(page: &str, language: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/quickstart");
    let text = std::fs::read_to_string(folder.join(page)).unwrap();
    let start = format!("```{language}\n");
    let blocks: Vec<_> =
        text.split(&start).skip(1).map(|rest| rest.split("```").next().unwrap().to_owned()).collect();
    assert!(!blocks.is_empty(), "{page} has no {language}");
    blocks.concat()
}

/// Runs a page's program. Returns its output.
async fn run(page: &str, language: &str, interpreter: &str, arguments: &[&str]) -> String {
    run_with(page, language, interpreter, arguments, &[]).await
}

async fn run_with(
    page: &str,
    language: &str,
    interpreter: &str,
    arguments: &[&str],
    settings: &[(&str, &str)],
) -> String {
    let child = start(page, language, interpreter, arguments, settings).await;
    let output = child.wait_with_output().await.unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{page}: {printed}{}", String::from_utf8_lossy(&output.stderr));
    printed
}

/// Starts a page's program.
async fn start(
    page: &str,
    language: &str,
    interpreter: &str,
    arguments: &[&str],
    settings: &[(&str, &str)],
) -> Child {
    let mut child = Command::new(interpreter)
        .args(arguments)
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("node")) // where supabase-js is installed
        .env("API_URL", setting("API_URL"))
        .envs(settings.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect(interpreter);
    child.stdin.take().unwrap().write_all(blocks(page, language).as_bytes()).await.unwrap();
    child
}

#[tokio::test]
async fn the_curl_page_does_what_it_says() {
    let printed = run("curl.md", "sh", "bash", &["-eu", "-o", "pipefail"]).await;
    let lines: Vec<_> = printed.lines().filter(|line| !line.is_empty()).collect();
    let expected = [
        r#""channel_prefix":"conv:""#,
        r#""name":"Ada Lovelace""#,
        r#""body":"Hi, where is my order?""#,
        r#""messages":["#,
        r#""conversations":["#,
        r#""body":"Actually, where IS it?""#,
        r#""deleted_at":"2"#,
        r#"{"ok":true}"#,
        r#""message_type":"image""#,
        r#""method":"PUT""#,
        r#"{"error":"conversation not found"}404"#,
    ];
    assert_eq!(lines.len(), expected.len(), "{printed}");
    for (line, part) in lines.iter().zip(expected) {
        assert!(line.contains(part), "{part} is not in {line}");
    }
}

#[tokio::test]
async fn the_javascript_page_prints_what_it_says() {
    let printed = run("javascript.md", "js", "node", &["--input-type=module"]).await;
    // Events and responses have no common order.
    let sorted = |text: &str| {
        let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    assert_eq!(sorted(&printed), sorted(&blocks("javascript.md", "text")));
}

#[tokio::test]
async fn the_python_page_prints_what_it_says() {
    let printed = run("python.md", "python", "python3", &["-"]).await;
    assert_eq!(printed, blocks("python.md", "text"));
}

#[tokio::test]
async fn the_queue_page_prints_what_it_says() {
    let chat = Chat::without_messages().await;
    let secret = chat.secret_key();
    chat.add_secret_key(&secret).await;
    let settings = [("TINYCHAT_SECRET_KEY", secret.as_str())];
    let printed = run_with("queue.md", "js", "node", &["--input-type=module"], &settings).await;
    assert_eq!(printed, blocks("queue.md", "text"));
}

#[tokio::test]
async fn the_tokens_page_signs_tokens_that_the_api_accepts() {
    let chat = Chat::new().await;
    let key = TokenKey::new(&chat).await;
    let kid = key.kid.to_string();
    let settings = [("TOKEN_KID", kid.as_str()), ("TOKEN_SECRET", key.secret.as_str())];
    for (language, interpreter, arguments) in
        [("js", "node", ["--input-type=module"].as_slice()), ("python", "python3", ["-"].as_slice())]
    {
        let token = run_with("tokens.md", language, interpreter, arguments, &settings).await;
        let user = Request::post("/v1/users", &json!({})).with_key(token.trim());
        assert_eq!(chat.call(user).await.ok()["user"]["user_id"], "u_42", "{language}");
    }
}

/// The requests to the stand-in for Google: messages for FCM, and claims of assertions for access tokens.
type Sent = Arc<Mutex<Vec<Value>>>;

/// The stand-in, in which the token `dead` has no device any more.
async fn fcm(
    State((key, sent)): State<(DecodingKey, Sent)>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, Json<Value>) {
    if uri.path() == "/token" {
        let form = std::str::from_utf8(&body).unwrap();
        let assertion = form.rsplit_once("assertion=").unwrap().1;
        let mut validation = Validation::new(Algorithm::RS256);
        validation.validate_aud = false;
        let claims = jsonwebtoken::decode::<Value>(assertion, &key, &validation).unwrap().claims;
        sent.lock().unwrap().push(claims);
        return (StatusCode::OK, Json(json!({ "access_token": "access", "expires_in": 3599 })));
    }
    assert_eq!(
        (uri.path(), &headers["authorization"]),
        ("/v1/projects/demo/messages:send", &"Bearer access".parse().unwrap())
    );
    let message = serde_json::from_slice::<Value>(&body).unwrap()["message"].take();
    let is_dead = message["token"] == "dead";
    sent.lock().unwrap().push(message);
    if !is_dead {
        return (StatusCode::OK, Json(json!({ "name": "projects/demo/messages/1" })));
    }
    let detail = json!({ "@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError", "errorCode": "UNREGISTERED" });
    let error = json!({ "code": 404, "message": "Requested entity was not found.", "status": "NOT_FOUND", "details": [detail] });
    (StatusCode::NOT_FOUND, Json(json!({ "error": error })))
}

/// Makes a Firebase service account in Google's format, and its public key.
async fn service_account(token_uri: &str) -> (Value, DecodingKey) {
    let program =
        "const { publicKey, privateKey } = require('node:crypto').generateKeyPairSync('rsa', { modulusLength: 2048 });
        const { n, e } = publicKey.export({ format: 'jwk' });
        console.log(JSON.stringify({ n, e, pem: privateKey.export({ format: 'pem', type: 'pkcs8' }) }))";
    let output = Command::new("node").args(["-e", program]).output().await.expect("node");
    let key: Value = serde_json::from_slice(&output.stdout).unwrap();
    let account = json!({
        "type": "service_account", "project_id": "demo", "private_key": key["pem"], "token_uri": token_uri,
        "client_email": "push@demo.iam.gserviceaccount.com",
    });
    let text = |field: &str| key[field].as_str().unwrap().to_owned();
    (account, DecodingKey::from_rsa_components(&text("n"), &text("e")).unwrap())
}

#[tokio::test]
async fn the_push_page_is_a_receiver_that_notifies_who_has_not_read_and_removes_dead_tokens() {
    let mut chat = Chat::without_messages().await;
    chat.conversation = chat.converse(&["ada", "bob", "cat", "dan"]).await;
    let users = json!([
        { "user_id": "ada", "name": "Ada Lovelace", "fcm_tokens": ["adas"] },
        { "user_id": "bob", "fcm_tokens": ["phone", "dead"] },
        { "user_id": "cat", "fcm_tokens": ["cats"] },
        { "user_id": "dan", "fcm_tokens": ["dans"], "notification_prefs": { "mute": true } },
    ]);
    for user in users.as_array().unwrap() {
        chat.call(Request::post("/v1/users", user)).await.ok();
    }
    let key = format!("sk_test_{}", Uuid::new_v4().simple());
    chat.add_secret_key(&key).await;

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let google = format!("http://{}", listener.local_addr().unwrap());
    let (account, public) = service_account(&format!("{google}/token")).await;
    let sent = Sent::default();
    let app = Router::new().fallback(fcm).with_state((public, sent.clone()));
    tokio::spawn(axum::serve(listener, app).into_future());
    let file = std::env::temp_dir().join(format!("{}.json", Uuid::new_v4()));
    std::fs::write(&file, account.to_string()).unwrap();

    // The receiver needs the endpoint's secret, so the endpoint is registered first and gets its URL later.
    let endpoint = chat.webhook_with_recipients("http://127.0.0.1:1/").await;
    let settings = [
        ("API_KEY", key.as_str()),
        ("WEBHOOK_SECRET", endpoint.secret.as_str()),
        ("GOOGLE_APPLICATION_CREDENTIALS", file.to_str().unwrap()),
        ("FCM_URL", google.as_str()),
        ("PORT", "0"),
    ];
    let mut receiver = start("push.md", "js", "node", &["--input-type=module"], &settings).await;
    let port =
        BufReader::new(receiver.stdout.take().unwrap()).lines().next_line().await.unwrap().expect("a port");
    std::fs::remove_file(&file).unwrap();
    let url = format!("http://127.0.0.1:{port}/");
    let to_receiver = "update tinychat.webhook_endpoints set url = $2 where id = $1";
    chat.db.execute(to_receiver, &[&endpoint.id, &url]).await.unwrap();

    let forged =
        chat.request(reqwest::Method::POST, &url).header("webhook-id", "1").header("webhook-timestamp", "1");
    assert_eq!(chat.fetch(forged.header("webhook-signature", "v1,AAAA").body("{}")).await.status, 401);
    chat.send("ada", "On my way").await;
    chat.call(Request::post(chat.path("read"), &json!({ "user_id": "cat" }))).await.ok();
    let stored = async || {
        let sql = "select fcm_tokens from tinychat.users where tenant_id = $1 and user_id = 'bob'";
        chat.db.query_one(sql, &[&chat.tenant]).await.unwrap().get::<_, Vec<String>>(0)
    };
    let deadline = Instant::now() + TIMEOUT;
    while stored().await != ["phone"] {
        assert!(Instant::now() < deadline, "{:?}", sent.lock().unwrap());
        sleep(Duration::from_millis(50)).await;
    }
    // The same event again, as after a response that was lost. The next event's notification shows that there is none for it.
    let again = "update tinychat.webhook_deliveries set outcome = null, next_attempt_at = now() where endpoint_id = $1";
    chat.db.execute(again, &[&endpoint.id]).await.unwrap();
    chat.until_deliveries(|delivery| delivery["attempts"] == 2).await;
    chat.send("ada", "Nearly there").await;
    let is_next = |message: &Value| message["notification"]["body"] == "Nearly there";
    while !sent.lock().unwrap().iter().any(is_next) {
        assert!(Instant::now() < deadline, "{:?}", sent.lock().unwrap());
        sleep(Duration::from_millis(50)).await;
    }

    let sent = sent.lock().unwrap().clone();
    let before = sent.iter().take_while(|message| !is_next(message)).collect::<Vec<_>>();
    let [claims, messages @ ..] = &before[..] else { panic!("nothing was sent") };
    let scope = "https://www.googleapis.com/auth/firebase.messaging";
    assert_eq!((&claims["scope"], &claims["iss"]), (&json!(scope), &account["client_email"]));
    let expected = |token: &str| {
        json!({
            "token": token,
            "notification": { "title": "Ada Lovelace", "body": "On my way" },
            "data": { "conversation_id": chat.conversation, "unread_count": "1" },
        })
    };
    assert_eq!(messages, [&expected("phone"), &expected("dead")]);
}
