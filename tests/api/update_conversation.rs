//! PATCH /v1/conversations/{id}

use futures_util::future::join_all;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use support::checks::refuses_values;
use support::token_key::TokenKey;
use support::{Channel, Chat, Document, Receiver, Request, assert_keys};
use uuid::Uuid;

fn change(chat: &Chat, change: &Value) -> Request {
    Request::patch(format!("/v1/conversations/{}", chat.conversation), change)
}

fn request(chat: &Chat) -> Request {
    change(chat, &json!({ "add_participants": ["carl"], "status": "closed" })).with_secret_key()
}

every_route!(request);
conversation_route!(request);
json_route!(request);

const NO_SECRET: &str = "secret key required";
const CLOSED: &str = "conversation is closed";

/// Returns the conversation from a user's list, without the user's unread count.
async fn listed(chat: &Chat, user: &str) -> Option<Value> {
    let mut listed = chat.conversations_of(user).await.into_iter();
    let mut conversation = listed.find(|conversation| conversation["id"] == chat.conversation)?;
    conversation.as_object_mut().unwrap().remove("unread_count");
    Some(conversation)
}

async fn members(chat: &Chat) -> Vec<Value> {
    let path = format!("/v1/conversations/{}", chat.conversation);
    let mut response = chat.call(Request::get(path)).await.ok();
    serde_json::from_value(response["conversation"]["members"].take()).unwrap()
}

/// The requests that a closed conversation refuses.
fn acts(chat: &Chat) -> [Request; 4] {
    let ada = json!({ "sender_id": "ada", "body": "hi" });
    [
        Request::post(chat.path("messages"), &ada),
        Request::patch(chat.message_path(), &ada),
        Request::post(chat.path("typing"), &ada),
        Request::post(chat.path("upload"), &json!({ "content_type": "image/png", "size": 42 })),
    ]
}

#[tokio::test]
async fn the_answer_is_the_conversation_as_lists_show_it() {
    let chat = Chat::new().await;
    let before = listed(&chat, "ada").await.unwrap();
    let response = chat.call(request(&chat)).await.ok();
    assert_keys(&response, &["conversation"]);
    let changed = &response["conversation"];
    let mut expected = before.clone();
    expected["participants"] = json!(["ada", "bob", "carl"]);
    expected["status"] = json!("closed");
    expected["updated_at"] = changed["updated_at"].clone();
    assert_eq!(*changed, expected);
    assert!(changed["updated_at"].as_str() > before["updated_at"].as_str());
    for user in ["ada", "bob", "carl"] {
        assert_eq!(listed(&chat, user).await.as_ref(), Some(changed), "{user}");
    }
}

#[tokio::test]
async fn creating_it_again_finds_it_as_it_is_now() {
    let mut chat = Chat::without_messages().await;
    let order = json!({ "kind": "order", "external_ref": "order_1", "participants": ["ada"] });
    let create = Request::post("/v1/conversations", &order);
    let created = chat.call(create.clone()).await.ok();
    created["conversation"]["id"].as_str().unwrap().clone_into(&mut chat.conversation);
    let changed = chat.update(&json!({ "add_participants": ["bob"], "status": "closed" })).await;
    assert_eq!(chat.call(create).await.ok()["conversation"], changed);
}

#[tokio::test]
async fn asking_again_changes_nothing() {
    let chat = Chat::new().await;
    let first = chat.update(&json!({ "add_participants": ["carl"], "remove_participants": ["bob"] })).await;
    let rows = chat.rows().await;
    for nothing in [
        json!({ "add_participants": ["carl"], "remove_participants": ["bob"] }),
        json!({ "add_participants": ["ada", "carl", "ada"], "status": "open" }),
        json!({ "remove_participants": ["eve"] }),
        json!({ "add_participants": [], "remove_participants": [] }),
        json!({ "add_participants": null, "remove_participants": null, "status": null }),
        json!({}),
    ] {
        assert_eq!(chat.update(&nothing).await, first, "{nothing}");
    }
    assert_eq!(chat.rows().await, rows);
}

#[tokio::test]
async fn participants_keep_their_order_and_new_ones_follow() {
    let chat = Chat::new().await;
    let update = async |add: &[&str], remove: &[&str]| {
        let change = json!({ "add_participants": add, "remove_participants": remove });
        chat.update(&change).await["participants"].take()
    };
    assert_eq!(update(&["dan", "bob", "carl", "dan"], &[]).await, json!(["ada", "bob", "dan", "carl"]));
    assert_eq!(update(&["ada"], &["bob", "carl"]).await, json!(["ada", "dan"]));
    assert_eq!(update(&["bob"], &["ada", "bob"]).await, json!(["dan", "bob"]), "in both lists");
    let order: Vec<_> = members(&chat).await.iter().map(|member| member["user_id"].clone()).collect();
    assert_eq!(order, ["dan", "bob"]);
}

#[tokio::test]
async fn who_joins_has_read_everything_so_far() {
    let chat = Chat::new().await;
    let joined = chat.update(&json!({ "add_participants": ["carl"] })).await;
    assert_eq!(chat.conversations_of("carl").await[0]["unread_count"], 0);
    assert_eq!(members(&chat).await[2]["read_at"], joined["updated_at"]);
    chat.send("ada", "welcome").await;
    assert_eq!(chat.conversations_of("carl").await[0]["unread_count"], 1);
    // A user who rejoins has read everything, too.
    for change in [json!({ "remove_participants": ["carl"] }), json!({ "add_participants": ["carl"] })] {
        chat.update(&change).await;
    }
    assert_eq!(chat.conversations_of("carl").await[0]["unread_count"], 0);
}

#[tokio::test]
async fn who_joins_finds_the_conversation_at_its_place_in_the_list() {
    let chat = Chat::new().await;
    let later = chat.converse(&["carl"]).await;
    chat.update(&json!({ "add_participants": ["carl"] })).await;
    let listed = chat.conversations_of("carl").await;
    let ids: Vec<_> = listed.iter().map(|conversation| conversation["id"].as_str().unwrap()).collect();
    assert_eq!(ids, [later.as_str(), chat.conversation.as_str()]);
}

#[tokio::test]
async fn who_was_removed_has_no_part_any_more() {
    let chat = Chat::new().await;
    let key = TokenKey::new(&chat).await;
    let bob = key.token("bob");
    let history = Request::get(chat.path("messages")).with_key(&bob);
    chat.call(history.clone()).await.ok();
    chat.update(&json!({ "remove_participants": ["bob"] })).await;
    chat.call(history.clone()).await.error(404, "conversation not found");
    assert_eq!(listed(&chat, "bob").await, None);
    let read = Request::post(chat.path("read"), &json!({ "user_id": "bob" }));
    chat.refuses(read, 403, "user is not a participant").await;
    chat.update(&json!({ "add_participants": ["bob"] })).await;
    chat.call(history).await.ok();
}

#[tokio::test]
async fn a_conversation_has_1_to_100_participants() {
    let chat = Chat::new().await;
    let users = |count: usize| (0..count).map(|n| format!("{n}{}", "💬".repeat(252))).collect::<Vec<_>>();
    let refused = async |change_: Value, text: &str| {
        chat.refuses(change(&chat, &change_).with_secret_key(), 400, text).await;
    };
    let too_many = "too many participants";
    refused(json!({ "add_participants": users(99) }), too_many).await;
    refused(json!({ "add_participants": users(101) }), too_many).await;
    refused(json!({ "remove_participants": users(101) }), too_many).await;
    refused(json!({ "remove_participants": ["ada", "bob"] }), "participants is required").await;
    let all = json!({ "add_participants": users(100), "remove_participants": ["ada", "bob"] });
    assert_eq!(chat.update(&all).await["participants"], json!(users(100)));
    refused(json!({ "add_participants": ["ada"] }), too_many).await;
    let one = json!({ "add_participants": ["ada"], "remove_participants": users(100) });
    assert_eq!(chat.update(&one).await["participants"], json!(["ada"]));
}

#[tokio::test]
async fn the_fields_are_lists_of_users_and_a_status() {
    for field in ["add_participants", "remove_participants"] {
        let text = |rest: &str| format!("{field} must {rest}");
        let no_array = text("be an array of strings");
        let values = [
            (json!("carl"), no_array.as_str()),
            (json!({}), &no_array),
            (json!([1]), &no_array),
            (json!([null]), &no_array),
            (json!([""]), &text("not contain empty strings")),
            (json!(["\u{0}"]), &text("not contain NUL")),
            (json!(["x".repeat(256)]), &format!("{field} is too long")),
        ];
        refuses_values(request, field, &values).await;
    }
    let unknown = "status must be one of open, closed";
    let values = [
        (json!("Closed"), unknown),
        (json!(""), unknown),
        (json!("archived"), unknown),
        (json!(true), "status must be a string"),
    ];
    refuses_values(request, "status", &values).await;
}

#[tokio::test]
async fn only_the_secret_key_and_staff_may() {
    let chat = Chat::new().await;
    let key = TokenKey::new(&chat).await;
    let close = change(&chat, &json!({ "status": "closed" }));
    chat.refuses(close.clone(), 403, NO_SECRET).await;
    for role in ["customer", "driver"] {
        chat.refuses(close.clone().with_key(key.token_as("ada", role)), 403, NO_SECRET).await;
        chat.refuses(close.clone().with_key(key.token_as("eve", role)), 404, "conversation not found").await;
    }
    for role in ["admin", "support"] {
        let response = chat.call(close.clone().with_key(key.token_as("sam", role))).await.ok();
        assert_eq!(response["conversation"]["status"], "closed");
        chat.update(&json!({ "status": "open" })).await;
    }
    chat.require_tokens().await;
    chat.refuses(close.clone(), 401, "user token required").await;
    chat.call(close.with_secret_key()).await.ok();
}

#[tokio::test]
async fn input_is_checked_before_the_conversation_and_that_before_the_caller() {
    let mut chat = Chat::new().await;
    let bad = change(&chat, &json!({ "status": 1 }));
    chat.refuses(bad, 400, "status must be a string").await;
    let none_left = change(&chat, &json!({ "remove_participants": ["ada", "bob"] }));
    chat.refuses(none_left, 403, NO_SECRET).await;
    chat.conversation = Uuid::new_v4().to_string();
    chat.refuses(change(&chat, &json!({ "status": "closed" })), 404, "conversation not found").await;
}

#[tokio::test]
async fn another_tenants_participants_of_the_same_name_stay() {
    let (chat, other) = (Chat::new().await, Chat::new().await);
    let before = other.rows().await;
    chat.update(&json!({ "remove_participants": ["bob"], "status": "closed" })).await;
    assert_eq!(other.rows().await, before);
    assert_eq!(other.conversations_of("bob").await.len(), 1);
}

#[tokio::test]
async fn a_change_is_broadcast_as_it_was_answered_and_no_change_is_not() {
    let chat = Chat::without_messages().await;
    let mut channel = Channel::join(&chat.conversation).await;
    for change in [
        json!({ "add_participants": ["carl"] }),
        json!({ "status": "closed" }),
        json!({ "remove_participants": ["carl"], "status": "open" }),
    ] {
        let changed = chat.update(&change).await;
        assert_eq!(channel.next("conversation").await, json!({ "conversation": changed }));
        assert_eq!(chat.update(&change).await, changed);
        chat.settle().await;
        channel.is_silent().await;
    }
    chat.call(change(&chat, &json!({ "status": "closed" }))).await.error(403, NO_SECRET);
    chat.settle().await;
    channel.is_silent().await;
}

#[tokio::test]
async fn a_change_is_a_webhook_event_and_no_change_is_none() {
    let chat = Chat::new().await;
    let (receiver, deaf) = (Receiver::new().await, Receiver::new().await);
    chat.webhook_for(&receiver.url, &["conversation.updated"]).await;
    chat.webhook(&deaf.url).await; // wants messages only
    let mut changes = Vec::new();
    for change in [json!({ "add_participants": ["carl"] }), json!({ "status": "closed" })] {
        changes.push(chat.update(&change).await);
        assert_eq!(chat.update(&change).await, changes[changes.len() - 1]);
        receiver.wait_for(changes.len()).await;
    }
    chat.until_deliveries(|delivery| delivery["outcome"] == "delivered").await;
    let events = receiver.received();
    assert_eq!((events.len(), deaf.received().len()), (2, 0));
    for (received, conversation) in events.iter().zip(changes) {
        let event = received.json();
        Document::get().check_webhook(&event);
        let expected = json!({
            "type": "conversation.updated", "timestamp": conversation["updated_at"],
            "data": { "conversation": conversation },
        });
        assert_eq!(event, expected);
    }
}

#[tokio::test]
async fn a_closed_conversation_takes_nothing_from_users() {
    let chat = Chat::new().await;
    let key = TokenKey::new(&chat).await;
    let tokens = [key.token("ada"), key.token_as("ada", "support")];
    chat.update(&json!({ "status": "closed" })).await;
    for act in acts(&chat) {
        chat.refuses(act.clone(), 403, CLOSED).await;
        for token in &tokens {
            chat.refuses(act.clone().with_key(token), 403, CLOSED).await;
        }
        chat.call(act.with_secret_key()).await.ok();
    }
    assert_eq!(listed(&chat, "ada").await.unwrap()["status"], "closed");
    chat.update(&json!({ "status": "open" })).await;
    for act in acts(&chat) {
        chat.call(act).await.ok();
    }
}

#[tokio::test]
async fn in_a_closed_conversation_reading_and_deleting_go_on() {
    let chat = Chat::new().await;
    chat.update(&json!({ "status": "closed" })).await;
    assert_eq!(chat.history("").await.len(), 1);
    chat.call(Request::get(chat.path("messages?since=2026-01-01T00:00:00Z"))).await.ok();
    let read = chat.call(Request::post(chat.path("read"), &json!({ "user_id": "bob" }))).await.ok();
    assert_eq!(read["read"]["read_at"], chat.message["created_at"]);
    chat.call(Request::delete(chat.message_path(), &json!({ "sender_id": "ada" }))).await.ok();
    assert_eq!(members(&chat).await.len(), 2);
}

#[tokio::test]
async fn what_was_sent_before_the_close_is_answered_again_after_it() {
    let chat = Chat::new().await;
    let message = json!({ "sender_id": "ada", "body": "in time", "client_message_id": "c1" });
    let sent = chat.send_with(&message).await;
    chat.update(&json!({ "status": "closed" })).await;
    assert_eq!(chat.send_with(&message).await, sent);
}

#[tokio::test]
async fn an_edit_is_judged_by_message_and_sender_before_the_status() {
    let mut chat = Chat::new().await;
    chat.update(&json!({ "status": "closed" })).await;
    let edit = |chat: &Chat, sender: &str| {
        Request::patch(chat.message_path(), &json!({ "sender_id": sender, "body": "edited" }))
    };
    chat.refuses(edit(&chat, "bob"), 403, "only the sender may change this message").await;
    chat.message["id"] = json!(Uuid::new_v4());
    chat.refuses(edit(&chat, "ada"), 404, "message not found").await;
}

#[tokio::test]
async fn ten_claims_of_one_agent_each_leave_ten_agents_and_no_queue() {
    let chat = Chat::new().await;
    chat.update(&json!({ "add_participants": ["queue:support"] })).await;
    let agents: Vec<_> = (0..10).map(|n| format!("agent_{n}")).collect();
    let claims: Vec<_> = agents
        .iter()
        .map(|agent| json!({ "add_participants": [agent], "remove_participants": ["queue:support"] }))
        .collect();
    let responses = join_all(claims.iter().map(|claim| chat.update(claim))).await;
    let times: BTreeSet<_> = responses.iter().map(|response| response["updated_at"].to_string()).collect();
    assert_eq!(times.len(), 10);
    let users: BTreeSet<_> =
        members(&chat).await.iter().map(|member| member["user_id"].to_string()).collect();
    assert_eq!(users.len(), 12, "{users:?}");
    assert!(!users.contains("\"queue:support\""));
    assert!(chat.conversations_of("queue:support").await.is_empty());
}
