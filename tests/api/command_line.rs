//! `tinychat`, the operator's command line, and its effect on the API.

use serde_json::Value;
use support::command_line::{json, run, run_with};
use support::lambda::binary;
use support::{Chat, Database, Request, assert_keys};
use tokio::process::Command;
use uuid::Uuid;

async fn status_of(chat: &Chat, key: &Value) -> u16 {
    chat.call(Request::get("/v1/config").with_key(key.as_str().unwrap())).await.status
}

/// The fields of a tenant in JSON output.
const TENANT: [&str; 9] = [
    "id",
    "name",
    "status",
    "message_limit",
    "tokens_required",
    "guard",
    "keys",
    "created_at",
    "retention_days",
];

#[tokio::test]
async fn a_new_tenant_is_served_with_its_new_key() {
    let chat = Chat::new().await;
    let mut tenant = json("tenants create Acme").await;
    assert_keys(&tenant, &[&TENANT[..], &["key"]].concat());
    let first = tenant["key"].take();
    assert_eq!(status_of(&chat, &first).await, 200);
    let id = tenant["id"].as_str().unwrap();
    for kind in ["live", "test"] {
        let key = json(&format!("keys create {id} --kind {kind}")).await["key"].clone();
        assert!(key.as_str().unwrap().starts_with(&format!("pk_{kind}_")), "{key}");
        let config = chat.call(Request::get("/v1/config").with_key(key.as_str().unwrap())).await.ok();
        assert_eq!((&config["tenant"]["id"], &config["tenant"]["name"]), (&tenant["id"], &tenant["name"]));
    }
    let shown = json(&format!("tenants show {id}")).await;
    assert_eq!((&tenant["keys"], &shown["keys"]), (&1.into(), &3.into()));
    assert!(json("tenants list").await.as_array().unwrap().contains(&shown));

    let without = json("tenants create Acme --no-key").await;
    assert_keys(&without, &TENANT);
    assert_eq!(without["keys"], 0);
}

#[tokio::test]
async fn a_suspended_tenant_is_turned_away_until_it_is_activated() {
    let chat = Chat::new().await;
    for (verb, status) in [("suspend", 403), ("activate", 200)] {
        json(&format!("tenants {verb} {}", chat.tenant)).await;
        assert_eq!(chat.call(Request::get("/v1/config")).await.status, status, "{verb}");
    }
}

#[tokio::test]
async fn a_rotated_key_opens_until_its_overlap_is_over() {
    let chat = Chat::new().await;
    let first = json(&format!("keys create {}", chat.tenant)).await["key"].take();
    let rotate = |key: &Value, hours: u8| {
        format!("keys rotate {} {} --overlap {hours}", chat.tenant, &key.as_str().unwrap()[..16])
    };
    let second = json(&rotate(&first, 1)).await["key"].take();
    assert_eq!((status_of(&chat, &first).await, status_of(&chat, &second).await), (200, 200));
    let third = json(&rotate(&second, 0)).await["key"].take();
    assert_eq!((status_of(&chat, &second).await, status_of(&chat, &third).await), (401, 200));

    let states: Vec<_> = json(&format!("keys list {}", chat.tenant)).await.as_array().unwrap()[1..]
        .iter()
        .map(|key| key["state"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(states, ["ends", "revoked", "active"]);
}

#[tokio::test]
async fn a_revoked_key_is_refused_at_once() {
    let chat = Chat::new().await;
    let key = json(&format!("keys create {}", chat.tenant)).await["key"].take();
    let line = format!("keys revoke {} {}", chat.tenant, &key.as_str().unwrap()[..16]);
    assert_eq!(json(&line).await["state"], "revoked");
    assert_eq!(status_of(&chat, &key).await, 401);
    let (code, _, error) = run(&line).await;
    assert_eq!((code, error.as_str()), (3, "error: no such valid key of this tenant\n"));
}

#[tokio::test]
async fn a_key_of_another_tenant_is_no_key() {
    let (chat, other) = (Chat::new().await, Chat::new().await);
    let key = json(&format!("keys create {}", chat.tenant)).await["key"].take();
    for verb in ["revoke", "rotate"] {
        let line = format!("keys {verb} {} {}", other.tenant, &key.as_str().unwrap()[..16]);
        assert_eq!(run(&line).await.0, 3, "{verb}");
    }
    assert_eq!(status_of(&chat, &key).await, 200);
}

#[tokio::test]
async fn a_key_is_shown_once_and_stored_nowhere() {
    let chat = Chat::new().await;
    let key = json(&format!("keys create {}", chat.tenant)).await["key"].take();
    let secret = &key.as_str().unwrap()[16..];
    assert!(!run(&format!("--json keys list {}", chat.tenant)).await.1.contains(secret));
    let sql = "select k::text from tinychat.api_keys k where tenant_id = $1";
    for row in chat.db.query(sql, &[&chat.tenant]).await.unwrap() {
        assert!(!row.get::<_, String>(0).contains(secret));
    }
}

#[tokio::test]
async fn an_exit_code_tells_wrong_use_from_what_is_not_there() {
    let nobody = Uuid::new_v4();
    for (line, code) in [
        ("tenants".to_owned(), 2),
        ("tenants show not-an-id".to_owned(), 2),
        ("keys rotate".to_owned(), 2),
        (format!("tenants show {nobody}"), 3),
        (format!("tenants suspend {nobody}"), 3),
        (format!("keys create {nobody}"), 3),
        (format!("keys list {nobody}"), 3),
        (format!("usage --tenant {nobody}"), 3),
        (format!("webhooks list {nobody}"), 3),
        (format!("webhooks deliveries {nobody}"), 3),
        (format!("webhooks replay {nobody} --since 2026-11-24T10:00:00Z"), 3),
        ("usage 2026-13".to_owned(), 2),
        ("tenants create ".to_owned(), 2),
        (format!("tenants limit {nobody} 0"), 2),
        (format!("webhooks set {nobody} {nobody}"), 2),
        (format!("webhooks replay {nobody}"), 2),
        ("migrate".to_owned(), 0),
        ("completions bash".to_owned(), 0),
    ] {
        assert_eq!(run(&line).await.0, code, "{line}");
    }
}

#[tokio::test]
async fn a_database_that_is_down_is_told_without_its_password() {
    let settings = [("DATABASE_URL", "postgres://someone:hunter2@127.0.0.1:1/db")];
    let (code, _, errors) = run_with("tenants list", &settings).await;
    assert_eq!(code, 1);
    assert!(errors.contains("DATABASE_URL") && !errors.contains("hunter2"), "{errors}");
}

#[tokio::test]
async fn people_see_tables() {
    let chat = Chat::new().await;
    let (code, table, _) = run(&format!("keys list {}", chat.tenant)).await;
    assert_eq!(code, 0);
    assert!(table.starts_with(" prefix ") && table.contains("| active |"), "{table}");
    let (_, table, _) = run("tenants list").await;
    assert!(table.starts_with(" id ") && table.contains("-+-"), "a row for each, not a block: {table}");
}

#[tokio::test]
async fn wrong_use_is_told_in_words() {
    let id = Uuid::new_v4();
    for (line, words) in [
        ("tenants show 123".to_owned(), "an id looks like 11111111-"),
        ("usage 2026-13".to_owned(), "a month looks like 2026-11, a day like 2026-11-28"),
        (format!("webhooks set {id} {id}"), "--url <URL>|--event <EVENT>"),
        (format!("webhooks replay {id}"), "--since"),
        (format!("keys list {id}"), "error: no such tenant"),
    ] {
        let (_, _, error) = run(&line).await;
        assert!(error.contains(words), "{line}: {error}");
    }
}

#[tokio::test]
async fn an_error_of_postgres_is_told_without_the_row() {
    let chat = Chat::without_messages().await;
    let database = Database::with(&chat, "").await;
    let mean = "alter table tinychat.tenants add constraint mean check (name <> 'Confidential')";
    database.client.batch_execute(mean).await.unwrap();
    let (code, _, error) = run_with("tenants create Confidential", &[("DATABASE_URL", &database.url)]).await;
    database.drop(&chat).await;
    assert_eq!(code, 1);
    assert!(error.contains("mean") && !error.contains("Confidential"), "{error}");
}

#[tokio::test]
async fn a_name_cant_talk_to_the_terminal() {
    let name = "O'Brien\u{1b}[2J\u{9b}31m\u{202e}";
    let tenant = json(&format!("tenants create {name}")).await;
    assert_eq!(tenant["name"], name);
    let id = tenant["id"].as_str().unwrap();
    for line in ["tenants show", "--json tenants show", "usage --tenant", "--json usage --tenant"] {
        let (_, shown, _) = run(&format!("{line} {id}")).await;
        assert!(shown.contains("O'Brien"), "{shown}");
        assert!(!shown.contains(['\u{1b}', '\u{9b}', '\u{202e}']), "{line}: {shown:?}");
    }
}

#[tokio::test]
async fn lists_are_no_wider_than_120_columns() {
    let chat = Chat::without_messages().await;
    let tenant = json(&format!("tenants create {}", "Söhne\u{3000}&\u{a0}Söhne,".repeat(8))).await;
    let id = tenant["id"].as_str().unwrap().to_owned();
    json(&format!("webhooks create {} http://127.0.0.1:1/hook", chat.tenant)).await;
    chat.send("ada", "hi").await;
    chat.until_deliveries(|delivery| delivery["attempts"] == 1).await;
    for line in [
        "tenants list".to_owned(),
        "usage".to_owned(),
        format!("keys list {id}"),
        format!("webhooks list {}", chat.tenant),
        format!("webhooks deliveries {}", chat.tenant),
    ] {
        let (code, shown, _) = run(&line).await;
        assert_eq!(code, 0);
        for row in shown.lines() {
            assert!(row.chars().count() <= 120, "{line}: {row}");
        }
    }
}

#[tokio::test]
async fn states_are_coloured_on_a_terminal_unless_no_color_is_set() {
    let chat = Chat::without_messages().await;
    let line = format!("{} keys list {}", binary("tinychat").display(), chat.tenant);
    assert!(!run(&format!("keys list {}", chat.tenant)).await.1.contains('\u{1b}'), "no terminal");
    for (name, value, coloured) in
        [("TERM", "xterm", true), ("TERM", "dumb", false), ("NO_COLOR", "1", false)]
    {
        // `script` provides a terminal.
        let mut script = Command::new("script");
        script
            .args(["-qec", &line, "/dev/null"])
            .env("TERM", "xterm")
            .env_remove("NO_COLOR")
            .env(name, value);
        let output = script.output().await.unwrap();
        let shown = String::from_utf8(output.stdout).unwrap();
        assert!(shown.contains("active"), "{shown}");
        assert_eq!(shown.contains("\u{1b}[32mactive\u{1b}[39m"), coloured, "{name}={value}: {shown:?}");
    }
}

#[tokio::test]
async fn a_seeded_tenant_has_life_in_it() {
    let chat = Chat::without_messages().await;
    let seeded = json("seed --name Lively --messages 60").await;
    let counts = ["users", "conversations", "messages", "images", "edited", "deleted"];
    assert_keys(&seeded, &[&["tenant", "key"], &counts[..]].concat());
    assert_eq!((&seeded["messages"], &seeded["conversations"]), (&60.into(), &5.into()));
    let key = seeded["key"].as_str().unwrap();
    let mut found = [0; 4];
    let list = chat.call(Request::get("/v1/conversations?user_id=ada").with_key(key)).await.ok();
    assert_eq!(list["conversations"].as_array().unwrap().len(), 2);
    let sql = "select m.message_type, m.media_url, m.edited_at is not null, m.deleted_at is not null
        from tinychat.messages m join tinychat.conversations c on c.id = m.conversation_id
        where c.tenant_id::text = $1";
    for row in chat.db.query(sql, &[&seeded["tenant"].as_str().unwrap()]).await.unwrap() {
        let (kind, image): (String, Option<String>) = (row.get(0), row.get(1));
        let image = image.filter(|_| kind == "image");
        if let Some(image) = &image {
            assert_eq!(reqwest::get(image).await.unwrap().status(), 200);
        }
        let is = [true, image.is_some(), row.get(2), row.get(3)];
        found.iter_mut().zip(is).for_each(|(count, is)| *count += i32::from(is));
    }
    assert!(found.iter().all(|count| *count > 0), "{found:?}");
    let said =
        ["messages", "images", "edited", "deleted"].map(|name| i32::try_from(seeded[name].as_i64().unwrap()));
    assert_eq!(said, found.map(Ok));

    let (code, _, error) = run_with("seed", &[("API_URL", "")]).await;
    assert_eq!(code, 2);
    assert!(error.contains("API_URL must be"), "{error}");
}
