//! `tinychat import`, which restores exported data and refuses data that would break a conversation.

use serde_json::{Value, json};
use std::path::PathBuf;
use support::command_line::{json, json_with, run};
use support::lambda::event_of;
use support::{Chat, Database, Function, Request};
use uuid::Uuid;

/// A temporary file, which is removed at the end of the test.
struct File(PathBuf);

impl File {
    fn new(text: &str) -> Self {
        let path = std::env::temp_dir().join(format!("tinychat-{}.jsonl", Uuid::new_v4()));
        std::fs::write(&path, text).unwrap();
        Self(path)
    }

    fn of(lines: &[Value]) -> Self {
        Self::new(&lines.iter().map(Value::to_string).collect::<Vec<_>>().join("\n"))
    }

    fn import(&self, tenant: Uuid) -> String {
        format!("import {tenant} {}", self.0.display())
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Creates a tenant with data of every kind.
async fn lively() -> Chat {
    let mut chat = Chat::new().await;
    let profile = json!({
        "user_id": "ada", "name": "Ada \u{202e}", "email": "ada@example.com", "fcm_tokens": ["t0ken"],
        "notification_prefs": { "limit": 1e30, "a": [null] },
    });
    chat.call(Request::post("/v1/users", &profile)).await.ok();
    chat.call(Request::post("/v1/users", &json!({ "user_id": "bob", "role": "driver" }))).await.ok();
    let first = chat.message["id"].clone();
    let unwanted = chat.send("bob", "unwanted").await;
    let response = json!({ "sender_id": "bob", "body": "an \"answer\"\n\\", "reply_to": first, "client_message_id": "c1" });
    let response = chat.send_with(&response).await;
    let image = json!({ "sender_id": "ada", "message_type": "image", "media_url": "https://example.com/a.png", "receiver_id": "bob" });
    chat.send_with(&image).await;
    let path = |message: &Value| chat.path(&format!("messages/{}", message["id"].as_str().unwrap()));
    let bob = json!({ "sender_id": "bob" });
    chat.call(Request::patch(path(&response), &json!({ "sender_id": "bob", "body": "edited" }))).await.ok();
    chat.call(Request::delete(path(&unwanted), &bob)).await.ok();
    chat.call(Request::post(chat.path("read"), &json!({ "user_id": "bob", "message_id": first }))).await.ok();
    let order = json!({ "kind": "order", "external_ref": "order_1", "participants": ["eve", "ada"] });
    let order = chat.call(Request::post("/v1/conversations", &order)).await.ok();
    let order = format!("/v1/conversations/{}", order["conversation"]["id"].as_str().unwrap());
    let close = Request::patch(order, &json!({ "status": "closed" })).with_key(chat.secret_key());
    chat.add_secret_key(&chat.secret_key()).await;
    chat.call(close).await.ok();
    let notice =
        json!({ "sender_id": "desk", "message_type": "system", "body": "hello", "metadata": { "n": 1e3 } });
    chat.call(Request::post(chat.path("messages"), &notice).with_key(chat.secret_key())).await.ok();
    chat.message = chat.send("ada", "last").await;
    chat
}

/// Returns several requests for every GET route, each with its function.
async fn questions(chat: &Chat) -> Vec<(&'static str, Request)> {
    let mut questions = vec![("get-config", Request::get("/v1/config"))];
    for user in ["ada", "bob", "eve", "nobody"] {
        for more in [
            "",
            "&unread=true",
            "&status=closed",
            "&status=open",
            "&kind=order&external_ref=order_1",
            "&limit=1",
        ] {
            let path = format!("/v1/conversations?user_id={user}{more}");
            questions.push(("list-conversations", Request::get(path)));
        }
    }
    for conversation in chat.conversations_of("ada").await {
        let path = format!("/v1/conversations/{}", conversation["id"].as_str().unwrap());
        questions.push(("get-conversation", Request::get(&path)));
        let sent = chat.message["created_at"].as_str().unwrap();
        for query in [
            String::new(),
            "?limit=2".to_owned(),
            format!("?before={sent}"),
            "?since=2020-01-01T00:00:00Z".to_owned(),
            format!("?since={sent}"),
        ] {
            questions.push(("list-messages", Request::get(format!("{path}/messages{query}"))));
        }
    }
    questions
}

/// Returns the responses of functions that use this database.
async fn responses(chat: &Chat, questions: &[(&'static str, Request)], database: &str) -> Vec<Value> {
    let mut responses = Vec::new();
    for name in ["get-config", "list-conversations", "get-conversation", "list-messages"] {
        let mut function = Function::start(name, &[("DATABASE_URL", database)]).await;
        for (_, request) in questions.iter().filter(|(of, _)| *of == name) {
            let (status, response) = function.call(event_of(name, chat, request)).await;
            assert_eq!(status, 200, "{} {response}", request.path);
            responses.push(response);
        }
    }
    responses
}

async fn export(tenant: Uuid) -> String {
    run(&format!("tenants export {tenant}")).await.1
}

#[tokio::test]
async fn every_get_route_answers_the_same_from_what_was_exported_and_imported() {
    let chat = lively().await;
    let exported = export(chat.tenant).await;
    let file = File::new(&exported);
    let database = Database::with(&chat, "").await;
    let settings = [("DATABASE_URL", database.url.as_str())];
    let tenant = "insert into tinychat.tenants (id, name) values ($1, 'Test')";
    database.client.execute(tenant, &[&chat.tenant]).await.unwrap();
    let key =
        "insert into tinychat.api_keys (hash, tenant_id, prefix) values (sha256($1::text::bytea), $2, '')";
    database.client.execute(key, &[&chat.key, &chat.tenant]).await.unwrap();
    let loaded = json_with(&file.import(chat.tenant), &settings).await;
    assert_eq!(loaded, json!({ "users": 2, "conversations": 2, "messages": 6, "known": 0 }));

    let questions = questions(&chat).await;
    let here = responses(&chat, &questions, &support::setting("DATABASE_URL")).await;
    let there = responses(&chat, &questions, &database.url).await;
    assert_eq!(here, there);
    // A second import changes nothing, and the export stays the same.
    let again = json_with(&file.import(chat.tenant), &settings).await;
    assert_eq!(again, json!({ "users": 0, "conversations": 0, "messages": 0, "known": 6 }));
    assert_eq!(responses(&chat, &questions, &database.url).await, there);
    let (_, exported_there, _) =
        support::command_line::run_with(&format!("tenants export {}", chat.tenant), &settings).await;
    assert_eq!(exported_there, exported);
    database.drop(&chat).await;
}

#[tokio::test]
async fn a_copy_beside_the_original_gets_new_ids_and_they_are_always_the_same() {
    let (chat, mut copy) = (lively().await, Chat::without_messages().await);
    let file = File::new(&export(chat.tenant).await);
    let (code, _, error) = run(&file.import(copy.tenant)).await;
    assert_eq!(code, 1);
    assert!(error.contains("line 3: id is that of another tenant's conversation; --new-ids"), "{error}");
    let line = format!("{} --new-ids", file.import(copy.tenant));
    assert_eq!(json(&line).await["messages"], 6);
    assert_eq!(json(&line).await["known"], 6);
    let texts = async |chat: &Chat| {
        let path = chat.path("messages?since=2020-01-01T00:00:00Z");
        let changes = chat.call(Request::get(path)).await.ok();
        let messages = changes["messages"].as_array().unwrap().iter();
        messages
            .map(|message| [&message["id"], &message["body"], &message["updated_at"]].map(Clone::clone))
            .collect::<Vec<_>>()
    };
    let listed = copy.conversations_of("bob").await;
    let imported = listed.iter().find(|conversation| conversation["id"] != copy.conversation).unwrap();
    copy.conversation = imported["id"].as_str().unwrap().to_owned();
    assert_eq!(texts(&copy).await, texts(&chat).await);
    // The imported conversation accepts messages.
    copy.send("bob", "and on").await;
}

fn conversation(id: Uuid) -> Value {
    json!({
        "type": "conversation", "id": id, "kind": "direct", "participants": ["ada", "bob"],
        "created_at": "2026-01-01T00:00:00Z",
    })
}

fn message(second: u32, body: &str) -> Value {
    json!({
        "type": "message", "id": format!("m{second}"), "sender_id": "ada", "body": body,
        "created_at": format!("2026-01-01T00:00:{second:02}Z"),
    })
}

#[tokio::test]
async fn what_would_break_order_or_uniqueness_is_refused_with_its_line_and_nothing_is_stored() {
    let chat = Chat::new().await;
    let before = chat.rows().await;
    let (id, user) = (Uuid::new_v4(), json!({ "type": "user", "user_id": "ada" }));
    for (lines, told) in [
        (vec![conversation(id), message(2, "b"), message(1, "a")], "line 3: created_at must be at least"),
        (vec![conversation(id), message(1, "a"), message(1, "b")], "line 3: created_at must be at least"),
        (vec![message(1, "a")], "line 1: a message must follow its conversation's line"),
        (vec![conversation(id), user.clone(), message(1, "a")], "line 3: a message must follow"),
        (vec![conversation(id), conversation(id)], "line 2: id is also that of another conversation"),
        (vec![user.clone(), user], "line 2: user_id is also that of another line"),
        (vec![conversation(id), json!({ "type": "message" })], "line 2: sender_id is required"),
        (vec![json!({ "type": "thing" })], "line 1: type must be one of user, conversation, message"),
        (vec![json!({ "type": "conversation", "id": "c-1" })], "line 1: id must be a UUID"),
    ] {
        let (code, _, error) = run(&File::of(&lines).import(chat.tenant)).await;
        assert_eq!(code, 1, "{lines:?}");
        assert!(error.contains(told), "{error}");
    }
    let (_, _, error) = run(&File::new("\n{\"type\":\n").import(chat.tenant)).await;
    assert!(error.contains("line 2: invalid json"), "{error}");
    assert_eq!(run(&format!("import {} /nowhere", chat.tenant)).await.0, 2);
    assert_eq!(chat.rows().await, before);
}

#[tokio::test]
async fn a_conversation_takes_later_messages_and_nothing_into_its_past() {
    let mut chat = Chat::new().await;
    let id = Uuid::new_v4();
    let mut lines = vec![conversation(id), message(1, "a"), message(5, "e")];
    let tenant = chat.tenant;
    let import = async |lines: &[Value]| {
        let file = File::of(lines);
        run(&format!("--json {}", file.import(tenant))).await
    };
    assert_eq!(import(&lines).await.0, 0);
    lines.insert(2, message(3, "c"));
    let (code, _, error) = import(&lines).await;
    assert_eq!(code, 1);
    assert!(error.contains("line 3: the conversation already exists and has changed after"), "{error}");
    let mut reply = message(9, "i");
    reply["reply_to"] = json!("m1");
    lines[2] = message(5, "e");
    lines[3] = reply;
    let (code, loaded, error) = import(&lines).await;
    assert_eq!(code, 0, "{error}");
    assert_eq!(serde_json::from_str::<Value>(&loaded).unwrap()["messages"], 1);
    chat.conversation = id.to_string();
    let history = chat.history("").await;
    let bodies: Vec<_> = history.iter().map(|message| message["body"].as_str().unwrap()).collect();
    assert_eq!(bodies, ["a", "e", "i"]);
    assert_eq!(history[2]["reply_to"], history[0]["id"]);
    let listed = chat.conversations_of("bob").await;
    let listed = listed.iter().find(|conversation| conversation["id"] == chat.conversation).unwrap();
    assert_eq!(
        (&listed["last_message"], &listed["last_at"]),
        (&json!("i"), &json!("2026-01-01T00:00:09.000Z"))
    );

    let mut lost = message(30, "x");
    lost["reply_to"] = json!(Uuid::new_v4());
    let (_, _, error) = run(&File::of(&[conversation(id), lost]).import(chat.tenant)).await;
    assert!(error.contains("line 2: reply_to is not an earlier message"), "{error}");
}

#[tokio::test]
async fn a_dry_run_stores_nothing() {
    let chat = Chat::new().await;
    let before = chat.rows().await;
    let file = File::of(&[conversation(Uuid::new_v4()), message(1, "a")]);
    let counted = json(&format!("{} --dry-run", file.import(chat.tenant))).await;
    assert_eq!((&counted["conversations"], &counted["messages"]), (&json!(1), &json!(1)));
    assert_eq!(chat.rows().await, before);
}
