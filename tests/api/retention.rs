//! `tinychat tenants retention`, and remove-expired, which enforces it.

use serde_json::{Value, json};
use support::command_line::{json, run};
use support::images::{is_there, remove_expired_until, send_image, upload};
use support::{Chat, Request};
use uuid::Uuid;

/// Sets the number of days for which messages are kept.
async fn retention(chat: &Chat, days: &str) -> Value {
    json(&format!("tenants retention {} {days}", chat.tenant)).await
}

/// Stores messages that `ada` sent so many days ago. Returns their ids, the oldest first.
async fn sent_ago(chat: &Chat, days: i32, count: i32) -> Vec<Uuid> {
    let sql = "insert into tinychat.messages (conversation_id, id, sender_id, body, message_type, created_at)
        select $1::text::uuid, tinychat.message_id_at(at), 'ada', 'old', 'text', at
        from generate_series(1, $3::integer) n
        cross join lateral (select tinychat.now_ms() - $2::integer * interval '1 day' + n * interval '1 ms') t (at)
        returning id";
    let rows = chat.db.query(sql, &[&chat.conversation, &days, &count]).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

async fn count(chat: &Chat) -> i64 {
    let sql = "select count(*) from tinychat.messages where conversation_id = $1::text::uuid";
    chat.db.query_one(sql, &[&chat.conversation]).await.unwrap().get(0)
}

#[tokio::test]
async fn older_messages_are_removed_and_what_is_left_is_right() {
    let chat = Chat::without_messages().await;
    let unread = "update tinychat.participants set read_at = now() - interval '100 days' where conversation_id = $1::text::uuid";
    chat.db.execute(unread, &[&chat.conversation]).await.unwrap();
    let [first, .., last] = sent_ago(&chat, 40, 450).await[..] else { panic!("too few") };
    let kept = sent_ago(&chat, 29, 2).await;
    let reply = json!({ "sender_id": "ada", "body": "to an old one", "reply_to": last });
    let reply = chat.send_with(&reply).await;
    let kept_reply = json!({ "sender_id": "ada", "body": "to a kept one", "reply_to": kept[0] });
    let kept_reply = chat.send_with(&kept_reply).await;
    chat.db
        .execute(
            "update tinychat.messages set reply_to = $2 where conversation_id = $1::text::uuid and id = $3",
            &[&chat.conversation, &first, &last],
        )
        .await
        .unwrap();
    assert_eq!(chat.conversations_of("bob").await[0]["unread_count"], 100);

    assert_eq!(retention(&chat, "30").await["retention_days"], 30);
    remove_expired_until(&chat, async || count(&chat).await == 4).await;
    let history = chat.history("").await;
    assert_eq!(
        history.iter().map(|message| &message["id"]).collect::<Vec<_>>(),
        [&json!(kept[0]), &json!(kept[1]), &reply["id"], &kept_reply["id"],]
    );
    assert_eq!((&history[2]["reply_to"], &history[3]["reply_to"]), (&Value::Null, &json!(kept[0])));
    let listed = &chat.conversations_of("bob").await[0];
    assert_eq!((&listed["last_message"], &listed["unread_count"]), (&json!("to a kept one"), &json!(4)));
    // A cursor may be a time of which no messages are left.
    let long_ago = "2020-01-01T00:00:00Z";
    assert_eq!(chat.history(&format!("?before={long_ago}")).await, Vec::<Value>::new());
    let changes = chat.call(Request::get(chat.path(&format!("messages?since={long_ago}")))).await.ok();
    assert_eq!(changes["messages"].as_array().unwrap().len(), 4);
    let response = json!({ "sender_id": "ada", "body": "to what is gone", "reply_to": last });
    chat.refuses(
        Request::post(chat.path("messages"), &response),
        400,
        "reply_to is not a message in this conversation",
    )
    .await;
}

#[tokio::test]
async fn a_conversation_may_lose_all_its_messages_and_goes_on() {
    let chat = Chat::without_messages().await;
    sent_ago(&chat, 3, 2).await;
    retention(&chat, "2").await;
    remove_expired_until(&chat, async || count(&chat).await == 0).await;
    assert_eq!(chat.conversations_of("ada").await[0]["last_message"], Value::Null);
    let sent = chat.send("ada", "again").await;
    assert_eq!(chat.history("").await.last().unwrap()["id"], sent["id"]);
}

#[tokio::test]
async fn images_go_with_the_last_message_that_names_them() {
    let (chat, other) = (Chat::new().await, Chat::new().await);
    let (only, shared, foreign) = (upload(&chat).await, upload(&chat).await, upload(&other).await);
    let mut old = Vec::new();
    for url in [&only, &shared, &foreign] {
        old.push(send_image(&chat, "ada", url).await["id"].as_str().unwrap().to_owned());
    }
    send_image(&chat, "bob", &shared).await;
    let age = "update tinychat.messages
        set created_at = created_at - interval '10 days', id = tinychat.message_id_at(created_at - interval '10 days')
        where conversation_id = $1::text::uuid and id = any ($2::text[]::uuid[])";
    chat.db.execute(age, &[&chat.conversation, &old]).await.unwrap();
    retention(&chat, "9").await;
    remove_expired_until(&chat, async || count(&chat).await == 2).await;
    remove_expired_until(&chat, async || !is_there(&chat, &only).await).await;
    assert!(is_there(&chat, &shared).await && is_there(&chat, &foreign).await);
}

#[tokio::test]
async fn others_messages_and_those_of_a_tenant_without_retention_stay() {
    let (chat, other, third) =
        (Chat::without_messages().await, Chat::without_messages().await, Chat::without_messages().await);
    retention(&third, "5").await;
    assert_eq!(retention(&third, "off").await["retention_days"], Value::Null);
    for chat in [&chat, &other, &third] {
        sent_ago(chat, 1_000, 1).await;
    }
    retention(&chat, "5").await;
    remove_expired_until(&chat, async || count(&chat).await == 0).await;
    assert_eq!((count(&other).await, count(&third).await), (1, 1));
}

#[tokio::test]
async fn days_are_a_number_or_off() {
    let chat = Chat::without_messages().await;
    for (days, code) in [("0", 2), ("-1", 2), ("36501", 2), ("never", 2), ("", 2), ("36500", 0), ("off", 0)] {
        assert_eq!(run(&format!("tenants retention {} {days}", chat.tenant)).await.0, code, "{days}");
    }
    assert_eq!(run(&format!("tenants retention {} 5", Uuid::new_v4())).await.0, 3);
    let (_, shown, _) = run(&format!("tenants show {}", chat.tenant)).await;
    assert!(shown.contains("retention"), "{shown}");
}

/// The functions' role has no other right to delete messages.
#[tokio::test]
async fn the_functions_role_removes_expired_messages_only() {
    let chat = Chat::new().await;
    sent_ago(&chat, 10, 1).await;
    let remove = "select removed from tinychat.remove_expired_messages(array[$1::text::uuid], 100)";
    let role: tokio_postgres::Config = support::setting("DATABASE_URL").parse().unwrap();
    let mut role = role.clone();
    let (role, connection) =
        role.user("tinychat_functions").password("local").connect(tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    let removed = async || role.query_one(remove, &[&chat.conversation]).await.unwrap().get::<_, i32>(0);
    assert_eq!(removed().await, 0);
    retention(&chat, "11").await;
    assert_eq!(removed().await, 0);
    retention(&chat, "9").await;
    assert_eq!((removed().await, count(&chat).await), (1, 1));
}
