//! `tinychat doctor`, in the local cloud and with wrong settings.

use axum::Router;
use axum::extract::State;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::http::StatusCode;
use axum::routing::{any, post};
use futures_util::future::join_all;
use futures_util::{SinkExt, StreamExt};
use reqwest::Url;
use serde_json::{Value, json};
use std::process::Stdio;
use std::time::{Duration, Instant};
use support::command_line::run_with;
use support::database::Database;
use support::lambda::binary;
use support::relay::closed_port;
use support::{Chat, setting};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::sync::broadcast::{Sender, channel};
use uuid::Uuid;

/// Runs the doctor. Returns the exit code and the findings.
async fn doctor(changes: &[(&str, &str)]) -> (i32, Vec<Value>) {
    let (code, output, _) = run_with("--json doctor", changes).await;
    assert!(!output.contains("hunter2"), "{output}");
    (code, serde_json::from_str(&output).unwrap())
}

fn finding<'a>(findings: &'a [Value], check: &str) -> &'a Value {
    findings.iter().find(|finding| finding["check"] == check).unwrap()
}

/// Asserts that one check fails with these words about a setting, that these checks are skipped, and that all others succeed.
#[track_caller]
fn is_blamed(
    (code, findings): &(i32, Vec<Value>),
    check: &str,
    setting: &str,
    words: &str,
    skipped: &[&str],
) {
    let of = |well: &str| -> Vec<_> { findings.iter().filter(|finding| finding["well"] == well).collect() };
    let no = of("no");
    assert_eq!((*code, no.len()), (1, 1), "{findings:#?}");
    assert_eq!((&no[0]["check"], &no[0]["setting"]), (&check.into(), &setting.into()), "{findings:#?}");
    assert!(no[0]["seen"].as_str().unwrap().contains(words), "{findings:#?}");
    assert!(no[0]["step"].as_str().is_some_and(|step| step.len() > 5), "{findings:#?}");
    let mut names: Vec<_> = of("skipped").iter().map(|finding| finding["check"].as_str().unwrap()).collect();
    names.sort_unstable();
    assert_eq!(names, skipped, "{findings:#?}");
}

const BEHIND_DATABASE: [&str; 3] = ["functions' role", "schema", "webhook secrets"];
const BEHIND_REALTIME: [&str; 1] = ["access tokens"];
const BEHIND_SUPABASE: [&str; 3] = ["access tokens", "realtime", "storage"];

#[tokio::test]
async fn all_is_well_in_the_local_cloud_and_not_with_a_role_that_lacks_settings() {
    let (code, findings) =
        doctor(&[("REALTIME_PRIVATE", "false"), ("DATABASE_NAMED_STATEMENTS", "false")]).await;
    assert_eq!((code, findings.len()), (0, 9), "{findings:#?}");
    // In the same test, because all databases share the roles.
    let name = format!("test_{}", Uuid::new_v4().simple());
    let chat = Chat::without_messages().await;
    chat.db.batch_execute(&format!("create role {name} login in role tinychat_functions")).await.unwrap();
    let outcome = doctor(&[]).await;
    chat.db.batch_execute(&format!("drop role {name}")).await.unwrap();
    is_blamed(&outcome, "functions' role", "DATABASE_URL", &name, &[]);
}

/// Whether the pooler of this run keeps named statements. `PgBouncer` does from 1.21.
pub fn keeps_named_statements() -> bool {
    if std::env::var("POOLER").as_deref() != Ok("1") {
        return true;
    }
    let path = format!("{}:/usr/sbin", std::env::var("PATH").unwrap());
    let version =
        std::process::Command::new("pgbouncer").arg("--version").env("PATH", path).output().unwrap();
    let version = String::from_utf8(version.stdout).unwrap();
    let minor = version.strip_prefix("PgBouncer 1.").and_then(|rest| rest.split('.').next()).unwrap();
    minor.parse::<u32>().unwrap() >= 21
}

#[tokio::test]
async fn named_statements_are_tried_through_the_pooler() {
    let url = setting("FUNCTION_DATABASE_URL");
    let (_, findings) = doctor(&[("DATABASE_URL", &url), ("DATABASE_NAMED_STATEMENTS", "true")]).await;
    let found = finding(&findings, "named statements");
    if keeps_named_statements() {
        assert_eq!(found["well"], "yes", "{found}");
    } else {
        let seen = found["seen"].as_str().unwrap();
        assert!(seen.contains("doesn't keep named statements"), "{found}");
        assert_eq!((&found["well"], &found["setting"]), (&"no".into(), &"DATABASE_NAMED_STATEMENTS".into()));
    }
}

/// As README says, in a second terminal.
#[tokio::test]
async fn all_is_well_with_the_settings_that_a_shell_reads_from_the_local_clouds_file() {
    let mut shell = Command::new("sh");
    shell.args(["-c", r#"set -a; . "$1/env"; "$0" doctor"#]).arg(binary("tinychat")).arg(setting("DATA_DIR"));
    let output = shell.env_clear().output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[tokio::test]
async fn a_setting_that_cant_be_meant_so_is_blamed_before_anything_is_tried() {
    let url = |path| format!("{}{path}", setting("SUPABASE_URL"));
    let keys = [setting("SUPABASE_ANON_KEY"), setting("SUPABASE_SERVICE_ROLE_KEY")];
    let copied = keys.each_ref().map(|key| format!("{key}\n"));
    let database = [&["database"][..], &BEHIND_DATABASE].concat();
    let supabase = [&BEHIND_SUPABASE[..], &["supabase"]].concat();
    let realtime = [&BEHIND_REALTIME[..], &["realtime"]].concat();
    let cases: Vec<(&str, &str, &str, &[&str])> = vec![
        ("SUPABASE_URL", "", "is missing", &supabase),
        ("SUPABASE_URL", "nowhere", "isn't a URL", &supabase),
        ("SUPABASE_URL", "http://abcdefghijkl.supabase.co", "begins with http://", &supabase),
        ("SUPABASE_ANON_KEY", &copied[0], "a line break", &realtime),
        ("SUPABASE_ANON_KEY", &keys[1], "is a secret key", &realtime),
        ("SUPABASE_ANON_KEY", "sb_secret_wrong", "is a secret key", &realtime),
        ("SUPABASE_SERVICE_ROLE_KEY", &copied[1], "a line break", &realtime),
        ("SUPABASE_SERVICE_ROLE_KEY", &keys[0], "is the public key", &realtime),
        ("SUPABASE_SERVICE_ROLE_KEY", "sb_publishable_x", "is the public key", &realtime),
        ("REALTIME_PRIVATE", "yes", "`true` nor `false`", &realtime),
        ("REALTIME_INBOX", "on", "`true` nor `false`", &[]),
        ("DATABASE_NAMED_STATEMENTS", "yes", "`true` nor `false`", &[]),
        ("REALTIME_JWT_KEY", r#"{"kty":"EC","crv":"P-256"}"#, "can sign with", &BEHIND_REALTIME),
        ("STORAGE_REGION", "", "is missing", &["storage"]),
        ("STORAGE_ACCESS_KEY_ID", "a b", "a space", &["storage"]),
        ("DATABASE_URL", "postgres://u:hunter2@h:5432/d?sslmode=maybe", "can't be used", &database),
        ("DATABASE_CA_CERT", "/dev/null", "no certificate in it", &database),
    ];
    let path = url("/rest/v1");
    let cases =
        cases.into_iter().chain([("SUPABASE_URL", path.as_str(), "has a path, /rest/v1", &supabase[..])]);
    join_all(cases.map(async |(name, value, words, skipped)| {
        let mut skipped = skipped.to_vec();
        skipped.sort_unstable();
        is_blamed(&doctor(&[(name, value)]).await, "settings", name, words, &skipped);
    }))
    .await;
    let (_, findings) =
        doctor(&[("SUPABASE_ANON_KEY", &keys[1]), ("SUPABASE_SERVICE_ROLE_KEY", &keys[0])]).await;
    let blamed: Vec<_> = findings.iter().filter_map(|finding| finding["setting"].as_str()).collect();
    assert_eq!(blamed, ["SUPABASE_ANON_KEY", "SUPABASE_SERVICE_ROLE_KEY"], "exchanged");
}

#[tokio::test]
async fn a_database_that_cant_be_reached_is_told_once_with_what_is_wrong_in_its_address() {
    let chat = Chat::without_messages().await;
    let name = format!("test_{}", Uuid::new_v4().simple());
    let role = format!(
        "do $$ begin create role password_required; exception when duplicate_object or unique_violation then null; end $$;
        create role {name} login password 'right'; grant password_required to {name}"
    );
    chat.db.batch_execute(&role).await.unwrap();
    let right: Url = setting("DATABASE_URL").parse().unwrap();
    let with = |change: &dyn Fn(&mut Url)| {
        let mut url = right.clone();
        change(&mut url);
        url.to_string()
    };
    let user = |user: &str, password: &str| {
        with(&|url| {
            url.set_username(user).unwrap();
            url.set_password(Some(password)).unwrap();
        })
    };
    let port = closed_port().await;
    for (url, words) in [
        (user(&name, "hunter2"), "Postgres refuses"),
        (user("nobody_knows_me", "hunter2"), "Postgres refuses: role \"nobody_knows_me\" does not exist"),
        (with(&|url| url.set_path("nowhere")), "names a database that Postgres refuses"),
        (with(&|url| url.set_port(Some(port)).unwrap()), "where no server listens"),
        (with(&|url| url.set_host(Some("nowhere.invalid")).unwrap()), "has an unknown host"),
    ] {
        let outcome = doctor(&[("DATABASE_URL", &url)]).await;
        is_blamed(&outcome, "database", "DATABASE_URL", words, &BEHIND_DATABASE);
    }
    chat.db.batch_execute(&format!("drop role {name}")).await.unwrap();
}

#[tokio::test]
async fn a_missing_schema_is_told_once() {
    let chat = Chat::without_messages().await;
    let name = format!("test_{}", Uuid::new_v4().simple());
    chat.db.batch_execute(&format!("create database {name}")).await.unwrap();
    let mut url: Url = setting("DATABASE_URL").parse().unwrap();
    url.set_path(&name);
    let outcome = doctor(&[("DATABASE_URL", url.as_str())]).await;
    chat.db.batch_execute(&format!("drop database {name} with (force)")).await.unwrap();
    is_blamed(&outcome, "schema", "DATABASE_URL", "lacks", &["functions' role", "webhook secrets"]);
    assert!(finding(&outcome.1, "schema")["step"].as_str().unwrap().contains("tinychat migrate"));
}

#[tokio::test]
async fn a_service_that_refuses_a_setting_is_told_with_that_setting() {
    for (name, value, check, words) in [
        ("SUPABASE_ANON_KEY", "wrong", "realtime", "is refused by Realtime (401)"),
        ("SUPABASE_SERVICE_ROLE_KEY", "sb_secret_wrong", "realtime", "is refused by Realtime (401)"),
        ("STORAGE_BUCKET", "nowhere", "storage", "that bucket doesn't exist"),
        ("STORAGE_ACCESS_KEY_ID", "wrong", "storage", "is unknown"),
        ("STORAGE_SECRET_ACCESS_KEY", "wrong", "storage", "isn't the secret"),
        ("STORAGE_REGION", "eu-west-9", "storage", "is in another region"),
    ] {
        let skipped = if check == "realtime" { &BEHIND_REALTIME[..] } else { &[] };
        is_blamed(&doctor(&[(name, value)]).await, check, name, words, skipped);
    }
}

#[tokio::test]
async fn a_wrong_region_is_told_from_a_wrong_secret_where_storage_tells_only_of_the_signature() {
    // Supabase accepts other regions as its own by default. The signature is then wrong.
    let storage = Router::new().fallback(any(|request: axum::extract::Request| async move {
        let query = request.uri().query().unwrap_or_default();
        if query.contains("us-east-1") {
            return (StatusCode::OK, String::new());
        }
        (StatusCode::FORBIDDEN, "<Error><Code>SignatureDoesNotMatch</Code></Error>".to_owned())
    }));
    let url = serve(storage).await;
    let (_, findings) = doctor(&[("SUPABASE_URL", &url), ("STORAGE_REGION", "eu-west-9")]).await;
    assert_eq!(finding(&findings, "storage")["setting"], "STORAGE_REGION", "{findings:#?}");
}

#[tokio::test]
async fn an_address_of_supabase_that_leads_elsewhere_is_told_once() {
    let right = setting("SUPABASE_URL");
    let closed = format!("http://127.0.0.1:{}", closed_port().await);
    for (url, words) in [
        (closed.as_str(), "where no server listens"),
        (&right.replace("http:", "https:"), "doesn't support TLS"),
        ("https://nowhere.invalid", "has an unknown host"),
    ] {
        is_blamed(
            &doctor(&[("SUPABASE_URL", url)]).await,
            "supabase",
            "SUPABASE_URL",
            words,
            &BEHIND_SUPABASE,
        );
    }
}

#[tokio::test]
async fn realtime_that_is_down_is_told_as_that() {
    let down = Router::new().fallback(any(async || StatusCode::SERVICE_UNAVAILABLE));
    let (code, findings) = doctor(&[("SUPABASE_URL", &serve(down).await)]).await;
    let realtime = finding(&findings, "realtime");
    assert_eq!((code, &realtime["setting"]), (1, &"SUPABASE_URL".into()));
    assert_eq!(realtime["seen"], "points to a Realtime that responds with 503");
}

#[tokio::test]
async fn private_channels_are_expected_where_the_project_has_them_and_only_there() {
    let outcome = doctor(&[("REALTIME_PRIVATE", "true")]).await;
    is_blamed(&outcome, "realtime", "REALTIME_PRIVATE", "allows public channels, too", &BEHIND_REALTIME);

    let url = serve(private_project()).await;
    for (private, well) in [("true", "yes"), ("false", "no")] {
        let (_, findings) = doctor(&[("SUPABASE_URL", &url), ("REALTIME_PRIVATE", private)]).await;
        let realtime = finding(&findings, "realtime");
        assert_eq!(realtime["well"], well, "{realtime:#}");
        if well == "no" {
            assert_eq!(realtime["setting"], "REALTIME_PRIVATE");
            assert!(realtime["seen"].as_str().unwrap().contains("private channels only"), "{realtime:#}");
        } else {
            // The stand-in checks no token.
            let tokens = finding(&findings, "access tokens");
            assert_eq!(tokens["setting"], "SUPABASE_URL", "{tokens:#}");
            assert!(tokens["seen"].as_str().unwrap().contains("with any signature"), "{tokens:#}");
        }
    }
}

#[tokio::test]
async fn a_key_whose_access_tokens_realtime_refuses_is_told() {
    let own: Value = serde_json::from_str(&setting("REALTIME_JWT_KEY")).unwrap();
    let mut other_id = own.clone();
    other_id["kid"] = json!("unknown");
    // The key of RFC 7515, appendix A.3.
    let mut other_key = json!({
        "kty": "EC", "crv": "P-256", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0", "d": "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI",
    });
    other_key["kid"] = own["kid"].clone();
    for key in [&other_id.to_string(), &other_key.to_string(), "not-the-legacy-secret-of-this-project"] {
        let outcome = doctor(&[("REALTIME_JWT_KEY", key)]).await;
        is_blamed(&outcome, "access tokens", "REALTIME_JWT_KEY", "that Realtime refuses: InvalidJWT", &[]);
    }
    let legacy = "super-secret-jwt-token-with-at-least-32-characters-long";
    for (key, well) in [(legacy, "yes"), ("", "skipped")] {
        let (code, findings) = doctor(&[("REALTIME_JWT_KEY", key)]).await;
        assert_eq!((code, &finding(&findings, "access tokens")["well"]), (0, &well.into()), "{findings:#?}");
    }
}

#[tokio::test]
async fn a_database_that_keeps_waiting_is_told_within_10_s() {
    let chat = Chat::without_messages().await;
    let database = Database::with(&chat, "").await;
    let lock = "begin; lock table supabase_migrations.schema_migrations in access exclusive mode";
    database.client.batch_execute(lock).await.unwrap();
    let start = Instant::now();
    let outcome = doctor(&[("DATABASE_URL", &database.url)]).await;
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    database.drop(&chat).await;
    is_blamed(&outcome, "schema", "DATABASE_URL", "within 3 s", &["functions' role", "webhook secrets"]);
}

/// Returns a port that accepts connections and sends nothing.
async fn silent_port() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

#[tokio::test]
async fn silent_hosts_are_told_within_10_s_and_what_is_known_is_told_at_once() {
    let (_database, database) = silent_port().await;
    let (_supabase, supabase) = silent_port().await;
    let start = Instant::now();
    let mut command = Command::new(binary("tinychat"));
    let mut child = command
        .arg("doctor")
        .env("DATABASE_URL", format!("postgres://u:hunter2@127.0.0.1:{database}/d?sslmode=disable"))
        .env("SUPABASE_URL", format!("http://127.0.0.1:{supabase}"))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.next_line().await.unwrap().unwrap().starts_with("✓ settings"));
    assert!(start.elapsed() < Duration::from_secs(2), "it is told before the others are known");
    let mut rest = Vec::new();
    while let Some(line) = lines.next_line().await.unwrap() {
        rest.push(line);
    }
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    assert_eq!(child.wait().await.unwrap().code(), Some(1));
    let failed: Vec<_> = rest.iter().filter(|line| line.starts_with('✗')).collect();
    assert_eq!(failed.len(), 2, "{rest:#?}");
    for (name, port) in [("DATABASE_URL", database), ("SUPABASE_URL", supabase)] {
        let told = format!("{name} points to 127.0.0.1:{port}, which doesn't respond.");
        assert!(failed.iter().any(|line| line.contains(&told)), "{rest:#?}");
    }
    assert_eq!(rest.iter().filter(|line| line.starts_with('–')).count(), 6, "{rest:#?}");
}

#[tokio::test]
async fn a_silent_realtime_is_told_within_10_s() {
    let project = Router::new()
        .route("/realtime/v1/websocket", any(async || std::future::pending::<()>().await))
        .fallback(any(async || StatusCode::NOT_FOUND));
    let start = Instant::now();
    let (_, findings) = doctor(&[("SUPABASE_URL", &serve(project).await)]).await;
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    assert_eq!(finding(&findings, "realtime")["seen"], "points to a Realtime that doesn't respond");
}

#[tokio::test]
async fn a_missing_route_function_is_named() {
    let chat = Chat::new().await;
    let database = Database::with(&chat, "").await;
    let row =
        database.client.query_one("select name from tinychat.route_functions limit 1", &[]).await.unwrap();
    let name: &str = row.get(0);
    database.client.batch_execute(&format!("drop function tinychat_api.{name}")).await.unwrap();
    let (_, findings) = doctor(&[("DATABASE_URL", &database.url)]).await;
    let schema = finding(&findings, "schema");
    assert!(schema["seen"].as_str().unwrap().contains(name), "{schema}");
    assert!(schema["step"].as_str().unwrap().contains("tinychat migrate"), "{schema}");

    let (_, done, _) = run_with("migrate", &[("DATABASE_URL", &database.url)]).await;
    assert_eq!(done.trim(), format!("created tinychat_api.{name}"));
    let (_, findings) = doctor(&[("DATABASE_URL", &database.url)]).await;
    assert_eq!(finding(&findings, "schema")["well"], "yes");
    database.drop(&chat).await;
}

/// Serves an app on a free port. Returns the URL.
async fn serve(app: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async { axum::serve(listener, app).await });
    url
}

/// Returns the Realtime of a project that forbids public access.
fn private_project() -> Router {
    async fn websocket(
        State(sender): State<Sender<Value>>,
        upgrade: WebSocketUpgrade,
    ) -> axum::response::Response {
        upgrade.on_upgrade(move |socket| converse(socket, sender))
    }
    async fn broadcast(
        State(sender): State<Sender<Value>>,
        axum::Json(batch): axum::Json<Value>,
    ) -> StatusCode {
        assert_eq!(batch["messages"][0]["private"], true);
        let _nobody_listens = sender.send(batch["messages"][0].clone());
        StatusCode::ACCEPTED
    }
    Router::new()
        .route("/realtime/v1/websocket", any(websocket))
        .route("/realtime/v1/api/broadcast", post(broadcast))
        .fallback(any(async || StatusCode::NOT_FOUND))
        .with_state(channel(8).0)
}

async fn converse(socket: WebSocket, sender: Sender<Value>) {
    let (mut sink, mut stream) = socket.split();
    let mut broadcasts = sender.subscribe();
    loop {
        let frame = tokio::select! {
            Some(Ok(message)) = stream.next() => {
                let Message::Text(text) = message else { continue };
                let asked: Value = serde_json::from_str(&text).unwrap();
                let reply = if asked[4]["config"]["private"] == true {
                    json!({ "status": "ok", "response": {} })
                } else {
                    let reason = "PrivateOnly: This project only allows private channels";
                    json!({ "status": "error", "response": { "reason": reason } })
                };
                json!([asked[0], asked[1], asked[2], "phx_reply", reply])
            }
            Ok(message) = broadcasts.recv() => {
                let topic = format!("realtime:{}", message["topic"].as_str().unwrap());
                let payload = json!({ "type": "broadcast", "event": message["event"], "payload": message["payload"] });
                json!([null, null, topic, "broadcast", payload])
            }
            else => return,
        };
        if sink.send(Message::text(frame.to_string())).await.is_err() {
            return;
        }
    }
}
