//! Checks that several routes share. A macro makes each of them a named test of a route.

use crate::request::Example;
use crate::{Chat, Request};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

/// Makes checks of this module tests of a route. They use the route's example request.
#[macro_export]
macro_rules! checks {
    ($request:ident: $($group:ident { $($check:ident)+ })+) => {
        $(mod $group {
            $(#[tokio::test]
            async fn $check() {
                $crate::checks::$check(super::$request).await;
            })+
        })+
    };
}

/// The tests of every route: its addresses, CORS, and the keys that it accepts.
#[macro_export]
macro_rules! every_route {
    ($request:ident) => {
        $crate::checks! { $request: every_route {
            both_base_paths_answer_200
            a_preflight_needs_no_key
            a_missing_key_answers_401
            a_malformed_key_answers_401
            an_unknown_key_answers_401
            a_revoked_key_answers_401
            an_overage_tenant_answers_403
            a_suspended_tenant_answers_403
        } }
    };
}

/// The tests of every route below `/v1/conversations/{id}`.
#[macro_export]
macro_rules! conversation_route {
    ($request:ident) => {
        $crate::checks! { $request: conversation_route {
            an_unknown_conversation_answers_404
            another_tenants_conversation_answers_404
            an_id_that_is_no_uuid_answers_404
        } }
    };
}

/// The tests of every route that takes a JSON body.
#[macro_export]
macro_rules! json_route {
    ($request:ident) => {
        $crate::checks! { $request: json_route {
            a_body_that_is_no_json_object_answers_400
            a_bad_body_with_a_bad_key_answers_401
            a_bad_body_from_an_overage_tenant_answers_403
            fields_that_nobody_knows_are_ignored
            the_content_type_does_not_matter
        } }
    };
}

/// The tests of every route below `/v1/conversations/{id}/messages/{msgId}`.
#[macro_export]
macro_rules! message_route {
    ($request:ident) => {
        $crate::checks! { $request: message_route {
            an_unknown_message_answers_404_whoever_asks
            a_message_of_another_conversation_answers_404
            another_tenants_message_answers_404_in_ones_own_conversation
            another_sender_answers_403
            input_is_checked_before_the_conversation_and_that_before_the_message
        } }
    };
}

/// Asserts that the route responds below `/v1` and below `/api/v1`.
pub async fn both_base_paths_answer_200(example: Example) {
    let chat = Chat::new().await;
    let request = example(&chat);
    chat.call(request.clone()).await.ok();
    chat.call(Request { path: format!("/api{}", request.path), ..request }).await.ok();
}

/// Asserts that a preflight succeeds without a key, with the allowed methods and headers.
pub async fn a_preflight_needs_no_key(example: Example) {
    let chat = Chat::new().await;
    let request = example(&chat);
    let preflight = chat
        .request(Method::OPTIONS, &format!("{}{}", crate::setting("API_URL"), request.path))
        .header("origin", "https://app.example")
        .header("access-control-request-method", request.method.as_str())
        .header("access-control-request-headers", "content-type,x-tinychat-api-key");
    let response = chat.fetch(preflight).await;
    assert!((200..300).contains(&response.status), "{}", response.status);
    assert_eq!(response.header("access-control-allow-origin"), "*");
    let list = |name| {
        let mut list: Vec<_> =
            response.header(name).split(',').map(|item| item.trim().to_lowercase()).collect();
        list.sort_unstable();
        list
    };
    assert_eq!(list("access-control-allow-methods"), ["delete", "get", "options", "patch", "post"]);
    assert_eq!(list("access-control-allow-headers"), ["content-type", "x-tinychat-api-key"]);
}

/// Asserts that a request without a key is refused.
pub async fn a_missing_key_answers_401(example: Example) {
    let chat = Chat::new().await;
    for request in [example(&chat).without_key(), example(&chat).with_key("")] {
        chat.refuses(request, 401, "missing x-tinychat-api-key header").await;
    }
}

/// Asserts that a key of another form is refused.
pub async fn a_malformed_key_answers_401(example: Example) {
    let chat = Chat::new().await;
    let secret = chat.key.strip_prefix("pk_test_").unwrap();
    let keys = [
        format!("sk_test_{secret}"),
        format!("pk_prod_{secret}"),
        format!("PK_TEST_{secret}"),
        format!("Bearer {}", chat.key),
        format!("pk_test_{}", &secret[..23]),
        format!("{}-", chat.key),
        format!("{}, {}", chat.key, chat.key),
        "pk_test_ÄÖÜäöüÄÖÜäöüÄÖÜäöüÄÖÜäöü".to_owned(),
        "' or true --".to_owned(),
    ];
    for key in keys {
        chat.refuses(example(&chat).with_key(key), 401, "invalid api key").await;
    }
}

/// Asserts that a key of the right form that nobody has is refused.
pub async fn an_unknown_key_answers_401(example: Example) {
    let chat = Chat::new().await;
    let unknown = [
        format!("pk_test_{}", Uuid::new_v4().simple()),
        chat.key.replace("pk_test_", "pk_live_"),
        chat.key.to_uppercase().replace("PK_TEST_", "pk_test_"),
        format!("{}a", chat.key),
    ];
    for key in unknown.into_iter().filter(|key| *key != chat.key) {
        chat.refuses(example(&chat).with_key(key), 401, "invalid api key").await;
    }
}

/// Asserts that a key is refused once it is revoked.
pub async fn a_revoked_key_answers_401(example: Example) {
    let chat = Chat::new().await;
    chat.call(example(&chat)).await.ok();
    chat.revoke_key().await;
    chat.refuses(example(&chat), 401, "invalid api key").await;
}

/// Asserts that a tenant over its limit is refused.
pub async fn an_overage_tenant_answers_403(example: Example) {
    is_turned_away_when("overage", example).await;
}

/// Asserts that a suspended tenant is refused.
pub async fn a_suspended_tenant_answers_403(example: Example) {
    is_turned_away_when("suspended", example).await;
}

async fn is_turned_away_when(status: &str, example: Example) {
    let chat = Chat::new().await;
    chat.set_status(status).await;
    chat.refuses(example(&chat), 403, &format!("tenant is {status}")).await;
    chat.set_status("active").await;
    chat.call(example(&chat)).await.ok();
}

/// Asserts that an id without a conversation is not found.
pub async fn an_unknown_conversation_answers_404(example: Example) {
    let mut chat = Chat::new().await;
    chat.conversation = Uuid::new_v4().to_string();
    chat.refuses(example(&chat), 404, "conversation not found").await;
}

/// Asserts that another tenant's conversation is not found.
pub async fn another_tenants_conversation_answers_404(example: Example) {
    let (chat, stranger) = (Chat::new().await, Chat::new().await);
    let before = chat.rows().await;
    stranger.refuses(example(&chat), 404, "conversation not found").await;
    assert_eq!(chat.rows().await, before);
}

/// Asserts that a conversation id that is no UUID is not found.
pub async fn an_id_that_is_no_uuid_answers_404(example: Example) {
    let mut chat = Chat::new().await;
    let id = chat.conversation.clone();
    let simple = id.replace('-', "");
    for odd in [
        "c_abc",
        "0",
        "null",
        "%00",
        "%27%20or%20true--",
        "%F0%9F%92%AC",
        &simple,
        &id[1..],
        &format!("{id}0"),
    ] {
        chat.conversation = odd.to_owned();
        chat.refuses(example(&chat), 404, "conversation not found").await;
    }
}

/// Asserts that a body must be a JSON object.
pub async fn a_body_that_is_no_json_object_answers_400(example: Example) {
    let chat = Chat::new().await;
    let whole = example(&chat);
    let truncated = &whole.body[..whole.body.len() - 1];
    let nested = ["[".repeat(100_000), "]".repeat(100_000)].concat();
    let bodies: [&[u8]; 14] = [
        b"",
        b" ",
        b"null",
        b"[]",
        b"[{}]",
        b"42",
        b"\"text\"",
        b"{]",
        b"sender_id=ada",
        br#"{"sender_id": "\ud800", "user_id": "\ud800", "kind": "\ud800"}"#,
        b"{\"sender_id\": \"\xff\", \"user_id\": \"\xff\", \"kind\": \"\xff\"}",
        &[&whole.body[..], b"{}"].concat(),
        truncated,
        nested.as_bytes(),
    ];
    for body in bodies {
        chat.refuses(whole.clone().body("application/json", body), 400, "invalid json").await;
    }
    chat.call(whole).await.ok();
}

/// Asserts that the key is checked before the body.
pub async fn a_bad_body_with_a_bad_key_answers_401(example: Example) {
    let chat = Chat::new().await;
    for body in ["{", "{}"] {
        let request = example(&chat).body("application/json", body);
        let unknown = format!("pk_live_{}", Uuid::new_v4().simple());
        chat.refuses(request.clone().with_key(unknown), 401, "invalid api key").await;
        chat.refuses(request.clone().with_key("pk_"), 401, "invalid api key").await;
        chat.refuses(request.without_key(), 401, "missing x-tinychat-api-key header").await;
    }
}

/// Asserts that the tenant's status is checked before the body.
pub async fn a_bad_body_from_an_overage_tenant_answers_403(example: Example) {
    let chat = Chat::new().await;
    chat.set_status("overage").await;
    chat.refuses(example(&chat).body("application/json", "{"), 403, "tenant is overage").await;
}

/// Asserts that unknown fields are ignored.
pub async fn fields_that_nobody_knows_are_ignored(example: Example) {
    let chat = Chat::new().await;
    chat.call(example(&chat).with(&json!({ "x": [{}], "tenant_id": 1, "id": null }))).await.ok();
}

/// Asserts that the declared content type is ignored.
pub async fn the_content_type_does_not_matter(example: Example) {
    let chat = Chat::new().await;
    for content_type in
        ["", "text/plain", "application/octet-stream", "application/x-nobody-knows; q=\"", "image/png"]
    {
        let request = Request { content_type: content_type.to_owned(), ..example(&chat) };
        chat.call(request).await.ok();
    }
}

/// Asserts that an id without a message is not found.
pub async fn an_unknown_message_answers_404_whoever_asks(example: Example) {
    let mut chat = Chat::new().await;
    for id in [&Uuid::now_v7().to_string(), &Uuid::nil().to_string(), "m_42", "%00", "%27"] {
        chat.message["id"] = json!(id);
        for sender in ["ada", "bob"] {
            chat.refuses(example(&chat).with_field("sender_id", sender), 404, "message not found").await;
        }
    }
}

/// Asserts that a message of another conversation is not found.
pub async fn a_message_of_another_conversation_answers_404(example: Example) {
    let mut chat = Chat::new().await;
    chat.conversation = chat.converse(&["ada"]).await;
    chat.refuses(example(&chat), 404, "message not found").await;
}

/// Asserts that another tenant's message is not found.
pub async fn another_tenants_message_answers_404_in_ones_own_conversation(example: Example) {
    let (mut chat, stranger) = (Chat::new().await, Chat::new().await);
    let before = stranger.rows().await;
    chat.message = stranger.message.clone();
    chat.refuses(example(&chat), 404, "message not found").await;
    assert_eq!(stranger.rows().await, before);
}

/// Asserts that only the sender may change a message.
pub async fn another_sender_answers_403(example: Example) {
    let chat = Chat::new().await;
    for sender in ["bob", "ADA", "ada "] {
        let request = example(&chat).with_field("sender_id", sender);
        chat.refuses(request, 403, "only the sender may change this message").await;
    }
}

/// Asserts the order of the checks.
pub async fn input_is_checked_before_the_conversation_and_that_before_the_message(example: Example) {
    let mut chat = Chat::new().await;
    chat.conversation = Uuid::new_v4().to_string();
    chat.message["id"] = json!("m_42");
    chat.refuses(example(&chat).without_field("sender_id"), 400, "sender_id is required").await;
    chat.refuses(example(&chat), 404, "conversation not found").await;
}

/// Asserts that a required string is refused if it is missing, null, empty or invalid.
pub async fn required_string(example: Example, field: &str, max: usize) {
    let chat = Chat::new().await;
    let is_required = format!("{field} is required");
    chat.refuses(example(&chat).without_field(field), 400, &is_required).await;
    for nothing in [Value::Null, json!("")] {
        chat.refuses(example(&chat).with_field(field, nothing), 400, &is_required).await;
    }
    refuses_bad_strings(&chat, example, field, max).await;
}

/// Asserts that an optional string may be null, empty or as long as allowed, and is refused if it is invalid.
pub async fn optional_string(example: Example, field: &str, max: usize) {
    let chat = Chat::new().await;
    for nothing in [Value::Null, json!("")] {
        chat.call(example(&chat).with_field(field, nothing)).await.ok();
    }
    chat.call(example(&chat).with_field(field, "💬".repeat(max))).await.ok();
    refuses_bad_strings(&chat, example, field, max).await;
}

async fn refuses_bad_strings(chat: &Chat, example: Example, field: &str, max: usize) {
    for other in [json!(42), json!(true), json!(["text"]), json!({ "text": "text" })] {
        let text = format!("{field} must be a string");
        chat.refuses(example(chat).with_field(field, other), 400, &text).await;
    }
    let text = format!("{field} must not contain NUL");
    chat.refuses(example(chat).with_field(field, "te\u{0}xt"), 400, &text).await;
    let text = format!("{field} is too long");
    chat.refuses(example(chat).with_field(field, "x".repeat(max + 1)), 400, &text).await;
}

/// Asserts that the example request is refused if a field of its body has one of these values.
pub async fn refuses_values(example: Example, field: &str, values: &[(Value, &str)]) {
    let chat = Chat::new().await;
    for (value, text) in values {
        chat.refuses(example(&chat).with_field(field, value.clone()), 400, text).await;
    }
}
