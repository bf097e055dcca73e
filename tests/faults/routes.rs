//! All routes that use the database, each with a request that succeeds.

use serde_json::json;
use support::{Chat, Request, lambda};

/// A route's function, and a request that succeeds.
pub struct Route {
    pub function: &'static str,
    pub request: Request,
}

/// Returns all of them. Requests in this order succeed any number of times.
pub async fn routes(chat: &Chat) -> Vec<Route> {
    chat.need_secret_key().await;
    let conversation_path = format!("/v1/conversations/{}", chat.conversation);
    let unwanted = chat.send("ada", "unwanted").await;
    let unwanted = chat.path(&format!("messages/{}", unwanted["id"].as_str().unwrap()));
    let ada = json!({ "sender_id": "ada" });
    let body = |body: &str| json!({ "sender_id": "ada", "body": body });
    let conversation = json!({ "kind": "order", "external_ref": "order_1", "participants": ["ada", "bob"] });
    let image = json!({ "content_type": "image/png", "size": 42 });
    let requests = [
        ("get-config", Request::get("/v1/config")),
        ("upsert-user", Request::post("/v1/users", &json!({ "user_id": "ada" }))),
        ("list-conversations", Request::get("/v1/conversations?user_id=ada")),
        ("create-conversation", Request::post("/v1/conversations", &conversation)),
        ("get-conversation", Request::get(&conversation_path)),
        (
            "update-conversation",
            Request::patch(conversation_path, &json!({ "status": "open" })).with_secret_key(),
        ),
        ("list-messages", Request::get(chat.path("messages"))),
        ("send-message", Request::post(chat.path("messages"), &body("hi"))),
        ("edit-message", Request::patch(chat.message_path(), &body("edited"))),
        ("delete-message", Request::delete(unwanted, &ada)),
        ("mark-read", Request::post(chat.path("read"), &json!({ "user_id": "bob" }))),
        ("send-typing", Request::post(chat.path("typing"), &ada)),
        ("upload-image", Request::post(chat.path("upload"), &image)),
    ];
    let known = requests.each_ref().map(|(function, _)| *function);
    let new = lambda::routes()
        .into_iter()
        .filter(|name| name != "route-not-found" && !known.contains(&name.as_str()));
    assert_eq!(new.collect::<Vec<_>>(), [""; 0], "add a request that each of these routes accepts");
    requests.map(|(function, request)| Route { function, request }).into()
}
