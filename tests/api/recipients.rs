//! Webhook endpoints with `--recipients`, which get a push service's data with each new message.

use serde_json::{Value, json};
use support::{Chat, Document, Receiver, Reply, Request};

/// Registers a user with push tokens and preferences.
async fn register(chat: &Chat, user: &str, tokens: &[String], prefs: Value) {
    let body = json!({ "user_id": user, "fcm_tokens": tokens, "notification_prefs": prefs });
    chat.call(Request::post("/v1/users", &body)).await.ok();
}

fn tokens(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

async fn read(chat: &Chat, user: &str) {
    chat.call(Request::post(chat.path("read"), &json!({ "user_id": user }))).await.ok();
}

#[tokio::test]
async fn a_new_message_names_its_recipients_and_what_they_have_not_read() {
    let mut chat = Chat::without_messages().await;
    chat.conversation = chat.converse(&["ada", "bob", "cat", "dan"]).await;
    register(&chat, "ada", &tokens(&["adas"]), json!({})).await;
    register(&chat, "bob", &tokens(&["phone \"💬\"", "tablet"]), json!({ "mute": true, "rate": 1.10 })).await;
    register(&chat, "dan", &[], json!({})).await;
    chat.send("ada", "one").await;
    read(&chat, "cat").await;
    let receiver = Receiver::new().await;
    let endpoint = chat.webhook_with_recipients(&receiver.url).await;
    let message = chat.send("ada", "two").await;
    let arrived = receiver.wait_for(1).await.remove(0);
    assert!(arrived.is_signed_by(&endpoint.secret));
    let event = arrived.json();
    Document::get().check_webhook(&event);
    assert_eq!(event["data"]["message"], message);
    let expected = json!([
        { "user_id": "bob", "fcm_tokens": ["phone \"💬\"", "tablet"], "notification_prefs": { "mute": true, "rate": 1.10 }, "unread_count": 2 },
        { "user_id": "cat", "fcm_tokens": [], "notification_prefs": {}, "unread_count": 1 },
        { "user_id": "dan", "fcm_tokens": [], "notification_prefs": {}, "unread_count": 2 },
    ]);
    assert_eq!(event["data"]["recipients"], expected);
    for recipient in expected.as_array().unwrap() {
        let list = chat.conversations_of(recipient["user_id"].as_str().unwrap()).await;
        assert_eq!(list[0]["unread_count"], recipient["unread_count"]);
    }
}

#[tokio::test]
async fn a_sender_who_takes_no_part_leaves_all_participants_recipients() {
    let chat = Chat::without_messages().await;
    let receiver = Receiver::new().await;
    chat.webhook_with_recipients(&receiver.url).await;
    chat.send("the shop", "hi").await;
    let event = receiver.wait_for(1).await[0].json();
    let users: Vec<_> =
        event["data"]["recipients"].as_array().unwrap().iter().map(|each| &each["user_id"]).collect();
    assert_eq!(users, ["ada", "bob"]);
}

#[tokio::test]
async fn alone_in_a_conversation_one_has_no_recipients() {
    let mut chat = Chat::without_messages().await;
    chat.conversation = chat.converse(&["ada"]).await;
    let receiver = Receiver::new().await;
    chat.webhook_with_recipients(&receiver.url).await;
    chat.send("ada", "to myself").await;
    assert_eq!(receiver.wait_for(1).await[0].json()["data"]["recipients"], json!([]));
}

#[tokio::test]
async fn other_endpoints_and_other_events_have_no_recipients() {
    let mut chat = Chat::without_messages().await;
    register(&chat, "bob", &tokens(&["bobs"]), json!({})).await;
    let [with, without] = [Receiver::new().await, Receiver::new().await];
    chat.webhook_with_recipients(&with.url).await;
    chat.webhook(&without.url).await;
    chat.message = chat.send("ada", "hi").await;
    chat.call(Request::patch(chat.message_path(), &json!({ "sender_id": "ada", "body": "edited" })))
        .await
        .ok();
    chat.call(Request::delete(chat.message_path(), &json!({ "sender_id": "ada" }))).await.ok();
    for (receiver, has_recipients) in [(with, true), (without, false)] {
        for received in receiver.wait_for(3).await {
            let event = received.json();
            Document::get().check_webhook(&event);
            let expected = has_recipients && event["type"] == "message.created";
            assert_eq!(event["data"].get("recipients").is_some(), expected, "{event}");
        }
    }
    for delivery in chat.deliveries().await {
        assert!(!delivery["payload"].as_str().unwrap().contains("bobs"), "no copy of a token is kept");
    }
}

#[tokio::test]
async fn each_attempt_has_the_recipients_of_its_moment() {
    let chat = Chat::without_messages().await;
    register(&chat, "bob", &tokens(&["old"]), json!({})).await;
    let receiver = Receiver::replying(|attempt| Reply::Status(if attempt == 0 { 500 } else { 204 })).await;
    let endpoint = chat.webhook_with_recipients(&receiver.url).await;
    chat.send("ada", "hi").await;
    chat.until_deliveries(|delivery| delivery["attempts"] == 1).await;
    register(&chat, "bob", &tokens(&["new"]), json!({ "mute": true })).await;
    read(&chat, "bob").await;
    chat.make_due().await;
    let [first, second] = &receiver.wait_for(2).await[..] else { panic!("two attempts") };
    let recipient = |tokens: &str, prefs: Value, unread: u8| json!([{ "user_id": "bob", "fcm_tokens": [tokens], "notification_prefs": prefs, "unread_count": unread }]);
    let (first_event, second_event) = (first.json(), second.json());
    assert_eq!(first_event["data"]["recipients"], recipient("old", json!({}), 1));
    assert_eq!(second_event["data"]["recipients"], recipient("new", json!({ "mute": true }), 0));
    assert_eq!((&first.id, &first_event["data"]["message"]), (&second.id, &second_event["data"]["message"]));
    assert!(first.is_signed_by(&endpoint.secret) && second.is_signed_by(&endpoint.secret));
}

#[tokio::test]
async fn recipients_have_64_kb_together_and_those_with_the_most_data_are_left_out() {
    let mut chat = Chat::without_messages().await;
    let users: Vec<_> = (0..100).map(|n| format!("user_{n}")).collect();
    let names: Vec<_> = users.iter().map(String::as_str).collect();
    chat.conversation = chat.converse(&names).await;
    let large: Vec<_> = (0..20).map(|n| format!("{n:t>4096}")).collect();
    for user in &users[50..] {
        register(&chat, user, &large, json!({})).await;
    }
    register(&chat, "user_7", &large[..3], json!({})).await;
    let receiver = Receiver::new().await;
    chat.webhook_with_recipients(&receiver.url).await;
    chat.send("user_0", "hi").await;
    let arrived = receiver.wait_for(1).await.remove(0);
    let event = arrived.json();
    Document::get().check_webhook(&event);
    let recipients = event["data"]["recipients"].as_array().unwrap();
    let told: Vec<_> = recipients.iter().map(|each| each["user_id"].as_str().unwrap()).collect();
    assert_eq!(told, names[1..50]);
    assert_eq!(event["data"]["recipients_left_out"], 50);
    assert!(arrived.body.len() < 65_536 + 8_192, "{}", arrived.body.len());
}

#[tokio::test]
async fn an_event_whose_recipients_cannot_be_read_is_not_sent_and_tried_again() {
    let chat = Chat::without_messages().await;
    let receiver = Receiver::new().await;
    let endpoint = chat.webhook_with_recipients(&receiver.url).await;
    let event =
        "insert into tinychat.webhook_deliveries (endpoint_id, event_id, type, payload, next_attempt_at)
        values ($1, gen_random_uuid(), 'message.created', '{}', now())";
    chat.db.execute(event, &[&endpoint.id]).await.unwrap();
    let delivery = chat.until_deliveries(|delivery| delivery["attempts"] == 1).await.remove(0);
    assert_eq!(delivery["last_answer"], "not sent: its recipients could not be read");
    assert_eq!((&delivery["outcome"], receiver.received().len()), (&Value::Null, 0));
}
