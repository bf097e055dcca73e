//! Every route that uses the database, with a request that it accepts.

use crate::support::lambda::event;
use crate::support::request::Key;
use crate::support::{Chat, Request};
use serde_json::{Value, json};
use std::collections::HashMap;

/// A route's function, and an example request.
pub struct Route {
    pub function: &'static str,
    pub request: Request,
}

/// All of them. They can be requested in this order, any number of times.
pub async fn routes(chat: &Chat) -> Vec<Route> {
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
        ("list-messages", Request::get(chat.path("messages"))),
        ("send-message", Request::post(chat.path("messages"), &body("hi"))),
        ("edit-message", Request::patch(chat.message_path(), &body("edited"))),
        ("delete-message", Request::delete(unwanted, &ada)),
        ("send-typing", Request::post(chat.path("typing"), &ada)),
        ("upload-image", Request::post(chat.path("upload"), &image)),
    ];
    requests.map(|(function, request)| Route { function, request }).into()
}

/// A request as the event that API Gateway makes of it.
pub fn event_of(function: &str, chat: &Chat, request: &Request) -> Value {
    let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
    let ids = path.split('/').skip(3).step_by(2);
    let parameters: HashMap<_, _> = ["id", "msgId"].into_iter().zip(ids).collect();
    let mut event = event(function);
    event["rawPath"] = json!(path);
    event["rawQueryString"] = json!(query);
    event["pathParameters"] = json!(parameters);
    event["headers"]["content-type"] = json!(request.content_type);
    event["headers"]["x-tinychat-api-key"] = match &request.key {
        Key::Own => json!(chat.key),
        Key::Missing => json!(""),
        Key::Other(key) => json!(key),
    };
    event["body"] = json!(String::from_utf8(request.body.clone()).unwrap());
    event["isBase64Encoded"] = json!(false);
    event
}
