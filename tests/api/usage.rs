//! Plan limits: check-usage, and the counts of `tinychat usage`.

use serde_json::{Value, json};
use support::command_line::{json as tinychat, json_with};
use support::lambda::event;
use support::token_key::TokenKey;
use support::{Chat, Database, Function, Request};
use uuid::Uuid;

async fn check() {
    let outcome = Function::start("check-usage", &[]).await.invoke(event("check-usage")).await;
    assert_eq!(outcome, Ok(Value::Null));
}

async fn status(chat: &Chat) -> Value {
    tinychat(&format!("tenants show {}", chat.tenant)).await["status"].take()
}

async fn limit(chat: &Chat, messages: &str) {
    tinychat(format!("tenants limit {} {messages}", chat.tenant).trim()).await;
}

#[tokio::test]
async fn a_tenant_that_reaches_its_limit_is_overage_until_the_limit_is_raised() {
    let chat = Chat::new().await; // which has sent one message
    limit(&chat, "3").await;
    chat.send("ada", "2").await;
    check().await;
    assert_eq!(status(&chat).await, "active");
    chat.send("ada", "3").await;
    check().await;
    chat.call(Request::get("/v1/config")).await.error(403, "tenant is overage");
    limit(&chat, "4").await;
    check().await;
    chat.call(Request::get("/v1/config")).await.ok();
}

#[tokio::test]
async fn deleting_messages_does_not_help() {
    let chat = Chat::new().await;
    chat.call(Request::delete(chat.message_path(), &json!({ "sender_id": "ada" }))).await.ok();
    limit(&chat, "1").await;
    check().await;
    assert_eq!(status(&chat).await, "overage");
}

#[tokio::test]
async fn a_new_month_begins_at_nothing() {
    let chat = Chat::new().await;
    limit(&chat, "1").await;
    let last_month = "update tinychat.messages set id = tinychat.message_id_at(date_trunc('month', now(), 'UTC') - interval '1 ms')
        where conversation_id = $1::text::uuid";
    chat.db.execute(last_month, &[&chat.conversation]).await.unwrap();
    check().await;
    assert_eq!(status(&chat).await, "active");
}

#[tokio::test]
async fn a_message_is_counted_once_however_often_usage_is_checked() {
    let chat = Chat::new().await;
    limit(&chat, "4").await;
    let age = "update tinychat.messages
        set id = tinychat.message_id_at(greatest(date_trunc('month', now(), 'UTC'), now() - interval '10 minutes'))
        where conversation_id = $1::text::uuid";
    chat.db.execute(age, &[&chat.conversation]).await.unwrap();
    for body in ["2", "3"] {
        check().await;
        chat.send("ada", body).await;
        check().await;
        assert_eq!(status(&chat).await, "active", "{body}");
    }
    chat.send("ada", "4").await;
    check().await;
    assert_eq!(status(&chat).await, "overage");
    // Counts of other months don't matter.
    let last_month =
        "update tinychat.usage set month = month - interval '1 month', messages = 100 where tenant_id = $1";
    assert_eq!(chat.db.execute(last_month, &[&chat.tenant]).await.unwrap(), 1);
    limit(&chat, "5").await;
    check().await;
    assert_eq!(status(&chat).await, "active");
}

#[tokio::test]
async fn a_suspended_tenant_stays_so_whatever_it_has_used() {
    let chat = Chat::new().await;
    for messages in ["1", "100"] {
        limit(&chat, messages).await;
        chat.set_status("suspended").await;
        check().await;
        assert_eq!(status(&chat).await, "suspended");
    }
}

#[tokio::test]
async fn lifting_the_limit_lets_the_tenant_in_at_once() {
    let chat = Chat::new().await;
    limit(&chat, "1").await;
    check().await;
    assert_eq!(status(&chat).await, "overage");
    limit(&chat, "").await;
    assert_eq!(status(&chat).await, "active");
}

#[tokio::test]
async fn others_messages_do_not_count() {
    let (chat, other) = (Chat::without_messages().await, Chat::new().await);
    limit(&chat, "1").await;
    other.send("ada", "2").await;
    check().await;
    assert_eq!(status(&chat).await, "active");
}

#[tokio::test]
async fn usage_counts_a_months_messages_conversations_and_users() {
    let chat = Chat::new().await;
    chat.send("ada", "2").await;
    chat.send("bob", "3").await;
    chat.converse(&["ada"]).await;
    limit(&chat, "7").await;
    let expected = json!([{
        "tenant": chat.tenant, "name": "Test", "status": "active", "messages": 3, "message_limit": 7,
        "conversations": 2, "users": 2, "storage_bytes": null,
    }]);
    assert_eq!(tinychat(&format!("usage --tenant {}", chat.tenant)).await, expected);
    let before = tinychat(&format!("usage 2020-01 --tenant {}", chat.tenant)).await;
    assert_eq!((&before[0]["messages"], &before[0]["conversations"]), (&json!(0), &json!(0)));
}

#[tokio::test]
async fn usage_is_shown_for_a_day_too() {
    let chat = Chat::new().await;
    let day =
        |offset: i64| (chrono::Utc::now() + chrono::TimeDelta::days(offset)).format("%Y-%m-%d").to_string();
    for (offset, messages) in [(-1, 0), (0, 1), (1, 0)] {
        let used = tinychat(&format!("usage {} --tenant {}", day(offset), chat.tenant)).await;
        assert_eq!(used[0]["messages"], messages, "{offset}");
    }
}

/// Returns the output of `tinychat usage --credentials` for the chat's tenant.
async fn credentials(chat: &Chat) -> Value {
    tinychat(&format!("usage --credentials --tenant {}", chat.tenant)).await[0].take()
}

#[tokio::test]
async fn requests_are_counted_by_kind_of_credential_after_the_answer() {
    let chat = Chat::without_messages().await;
    let key = TokenKey::new(&chat).await;
    let secret = format!("sk_test_{}", Uuid::new_v4().simple());
    chat.add_secret_key(&secret).await;
    let before = credentials(&chat).await;
    assert_eq!(before["tokens"], "accepted");
    let number = |counted: &Value, kind: &str| counted[kind].as_i64().unwrap();
    // A process writes its counts after its first response.
    for credential in [&chat.key, &secret, &key.token("ada"), &key.token("bob")] {
        let mut request = event("get-config");
        request["headers"]["x-tinychat-api-key"] = json!(credential);
        let mut function = Function::start("get-config", &[]).await;
        assert_eq!(function.call(request.clone()).await.0, 200);
        function.call(request).await; // begins after the work of the first request
    }
    let after = credentials(&chat).await;
    for (kind, more) in [("publishable", 1), ("secret", 1), ("token", 2)] {
        assert_eq!(number(&after, kind) - number(&before, kind), more, "{kind}: {before} {after}");
    }
    assert_eq!(after["last_publishable"], chrono::Utc::now().format("%Y-%m-%d").to_string());
    let forged = format!("pk_test_{}", Uuid::new_v4().simple());
    let mut request = event("get-config");
    request["headers"]["x-tinychat-api-key"] = json!(forged);
    let mut function = Function::start("get-config", &[]).await;
    for _ in 0..2 {
        assert_eq!(function.call(request.clone()).await.0, 401);
    }
    assert_eq!(credentials(&chat).await, after);
}

#[tokio::test]
async fn counts_of_credentials_go_after_thirteen_months() {
    let chat = Chat::without_messages().await;
    let insert = "insert into tinychat.credential_usage
        select (now() - age)::date, $1, 'token', 1 from unnest('{390 days,400 days}'::interval[]) age";
    chat.db.execute(insert, &[&chat.tenant]).await.unwrap();
    check().await;
    let left = "select count(*) from tinychat.credential_usage where tenant_id = $1 and credential = 'token'";
    assert_eq!(chat.db.query_one(left, &[&chat.tenant]).await.unwrap().get::<_, i64>(0), 1);
}

/// The columns of Supabase's table of files that are used.
const SUPABASE: &str = "
    create schema storage;
    create table storage.objects (bucket_id text, name text, metadata jsonb, created_at timestamptz)";

#[tokio::test]
async fn usage_counts_the_bytes_of_a_months_images_where_the_database_knows_them() {
    let chat = Chat::without_messages().await;
    let database = Database::with(&chat, SUPABASE).await;
    let tinychat = async |line: &str, bucket: &str| {
        json_with(line, &[("DATABASE_URL", &database.url), ("STORAGE_BUCKET", bucket)]).await
    };
    let tenants = [tinychat("tenants create A", "").await, tinychat("tenants create B", "").await];
    let [own, others] = tenants.map(|tenant| format!("{}/photo.png", tenant["id"].as_str().unwrap()));
    for (bucket, name, size, created_at) in [
        ("chat", &own, 1, "2026-10-01T00:00:00Z"),
        ("chat", &own, 20, "2026-10-31T23:59:59.999Z"),
        ("chat", &own, 300, "2026-11-01T00:00:00Z"),
        ("chat", &others, 4_000, "2026-10-15T00:00:00Z"),
        ("photos", &own, 50_000, "2026-10-15T00:00:00Z"),
    ] {
        let object = "insert into storage.objects values
            ($1, $2, jsonb_build_object('size', $3::integer), $4::text::timestamptz)";
        database.client.execute(object, &[&bucket, name, &size, &created_at]).await.unwrap();
    }
    for (month, bucket, expected) in [
        ("2026-10", "", [21, 4_000]),
        ("2026-11", "", [300, 0]),
        ("2026-12", "", [0, 0]),
        ("2026-10", "photos", [50_000, 0]),
    ] {
        let used = tinychat(&format!("usage {month}"), bucket).await;
        assert_eq!([0, 1].map(|tenant| &used[tenant]["storage_bytes"]), expected, "{month} {bucket}");
    }
    database.drop(&chat).await;
}
