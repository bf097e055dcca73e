//! `tinychat users export`, `conversations export` and `tenants export`, which print stored data as JSON lines.

use serde_json::{Value, json};
use support::command_line::run;
use support::{Chat, Request};

/// Returns the lines that a command prints.
async fn lines(line: &str) -> Vec<Value> {
    let (code, output, errors) = run(line).await;
    assert_eq!((code, errors.as_str()), (0, ""), "{line}");
    output.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn of_type<'a>(lines: &'a [Value], kind: &str) -> Vec<&'a Value> {
    lines.iter().filter(|line| line["type"] == kind).collect()
}

#[tokio::test]
async fn a_users_export_has_its_profile_its_conversations_and_its_own_messages() {
    let chat = Chat::new().await;
    let profile = json!({
        "user_id": "ada", "name": "Ada", "email": "ada@example.com", "fcm_tokens": ["t0ken"],
        "notification_prefs": { "quiet": 1e2 },
    });
    let user = chat.call(Request::post("/v1/users", &profile)).await.ok()["user"].take();
    let bobs = chat.send("bob", "hello Ada").await;
    let image = json!({
        "sender_id": "ada", "message_type": "image", "media_url": "https://example.com/a.png",
        "reply_to": bobs["id"], "receiver_id": "bob", "client_message_id": "c1",
    });
    let image = chat.send_with(&image).await;
    let elsewhere = chat.converse(&["bob", "eve"]).await;
    chat.call(Request::post(
        format!("/v1/conversations/{elsewhere}/messages"),
        &json!({ "sender_id": "ada", "body": "hi" }),
    ))
    .await
    .ok();
    chat.converse(&["bob", "eve"]).await; // which has nothing to do with Ada

    let lines = lines(&format!("users export {} ada", chat.tenant)).await;
    let [exported] = of_type(&lines, "user")[..] else { panic!("{lines:?}") };
    for field in
        ["id", "user_id", "name", "email", "role", "fcm_tokens", "notification_prefs", "last_seen_at"]
    {
        assert_eq!(exported[field], user[field], "{field}");
    }
    let conversations = of_type(&lines, "conversation");
    assert_eq!(conversations.len(), 2, "{lines:?}");
    assert!(conversations.iter().any(|line| line["id"] == elsewhere.as_str()));
    let messages = of_type(&lines, "message");
    assert!(messages.len() == 3 && messages.iter().all(|line| line["sender_id"] == "ada"), "{lines:?}");
    let exported = messages.iter().find(|line| line["id"] == image["id"]).unwrap();
    for (field, value) in image.as_object().unwrap() {
        assert_eq!(exported[field], *value, "{field}");
    }
    assert_eq!(exported["client_message_id"], "c1");
}

#[tokio::test]
async fn a_conversations_export_has_all_messages_in_their_order_and_the_words_of_deleted_ones() {
    let chat = Chat::new().await;
    let unwanted = chat.send("bob", "unwanted").await;
    let path = chat.path(&format!("messages/{}", unwanted["id"].as_str().unwrap()));
    chat.call(Request::delete(path, &json!({ "sender_id": "bob" }))).await.ok();
    let last = chat.send("ada", "last \u{202e}\u{9b}").await;

    let lines = lines(&format!("conversations export {} {}", chat.tenant, chat.conversation)).await;
    let ids: Vec<_> = lines.iter().map(|line| &line["id"]).collect();
    assert_eq!(ids, [&json!(chat.conversation), &chat.message["id"], &unwanted["id"], &last["id"]]);
    assert_eq!(
        (&lines[0]["type"], &lines[0]["participants"]),
        (&json!("conversation"), &json!(["ada", "bob"]))
    );
    assert_eq!(lines[2]["body"], "unwanted");
    assert!(lines[2]["deleted_at"].is_string());
    assert_eq!(lines[3]["body"], last["body"]);
}

#[tokio::test]
async fn exports_keep_to_their_tenant_and_are_harmless_to_a_terminal() {
    let (chat, other) = (Chat::new().await, Chat::new().await);
    chat.send("ada", "\u{202e}\u{9b}31m").await;
    for (line, code) in [
        (format!("conversations export {} {}", other.tenant, chat.conversation), 3),
        (format!("users export {} nobody", chat.tenant), 3),
        (format!("tenants export {}", uuid::Uuid::new_v4()), 3),
        (format!("users export {}", chat.tenant), 2),
    ] {
        assert_eq!(run(&line).await.0, code, "{line}");
    }
    let (_, output, _) = run(&format!("tenants export {}", chat.tenant)).await;
    assert!(output.contains(&chat.conversation) && !output.contains(&other.conversation));
    assert!(!output.contains(['\u{202e}', '\u{9b}']), "{output:?}");
}
