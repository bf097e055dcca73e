//! GET /v1/conversations/{id}

use serde_json::{Value, json};
use support::{Chat, Request, assert_keys};

fn request(chat: &Chat) -> Request {
    Request::get(format!("/v1/conversations/{}", chat.conversation))
}

every_route!(request);
conversation_route!(request);

#[tokio::test]
async fn a_conversation_is_answered_in_full_with_its_members_in_order() {
    let mut chat = Chat::without_messages().await;
    let about = json!({ "user_id": "zoe", "name": "Zoë", "role": "driver" });
    chat.call(Request::post("/v1/users", &about)).await.ok();
    chat.conversation = chat.converse(&["zoe", "ada"]).await;
    let message = chat.send("zoe", "hello").await;
    let response = chat.call(request(&chat)).await.ok();
    assert_keys(&response, &["conversation"]);
    let conversation = &response["conversation"];
    let expected = json!({
        "id": chat.conversation, "tenant_id": chat.tenant, "kind": "direct", "external_ref": null,
        "participants": ["zoe", "ada"], "status": "open", "last_message": "hello", "last_at": message["created_at"],
        "updated_at": message["created_at"],
        "members": [
            { "user_id": "zoe", "name": "Zoë", "role": "driver", "read_at": message["created_at"] },
            { "user_id": "ada", "name": null, "role": null, "read_at": conversation["members"][1]["read_at"] },
        ],
    });
    assert_eq!(*conversation, expected);
}

#[tokio::test]
async fn members_show_how_far_they_have_read() {
    let chat = Chat::new().await;
    let read_at =
        async || chat.call(request(&chat)).await.ok()["conversation"]["members"][1]["read_at"].take();
    assert!(read_at().await.as_str() < chat.message["created_at"].as_str());
    chat.call(Request::post(chat.path("read"), &json!({ "user_id": "bob" }))).await.ok();
    assert_eq!(read_at().await, chat.message["created_at"]);
}

#[tokio::test]
async fn another_tenants_users_lend_no_name() {
    let (chat, other) = (Chat::new().await, Chat::new().await);
    other.call(Request::post("/v1/users", &json!({ "user_id": "ada", "name": "Another" }))).await.ok();
    let conversation = chat.call(request(&chat)).await.ok();
    assert_eq!(conversation["conversation"]["members"][0]["name"], Value::Null);
}
