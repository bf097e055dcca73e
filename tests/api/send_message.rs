//! POST /v1/conversations/{id}/messages

use futures_util::future::join_all;
use serde_json::{Value, json};
use support::checks::{optional_string, refuses_values, required_string};
use support::token_key::TokenKey;
use support::{Chat, Request, assert_keys, assert_time, setting};
use uuid::Uuid;

fn request(chat: &Chat) -> Request {
    Request::post(chat.path("messages"), &json!({ "sender_id": "ada", "body": "Hi, where is my order?" }))
}

every_route!(request);
conversation_route!(request);
json_route!(request);

fn image(chat: &Chat) -> Request {
    let body =
        json!({ "sender_id": "ada", "message_type": "image", "media_url": "https://example.com/x.png" });
    Request::post(chat.path("messages"), &body)
}

async fn count(chat: &Chat) -> usize {
    chat.rows().await["messages"].as_array().unwrap().len()
}

#[tokio::test]
async fn a_message_is_answered_in_full_and_stands_in_the_history() {
    let chat = Chat::new().await;
    let response = chat.call(request(&chat)).await.ok();
    assert_keys(&response, &["message"]);
    let mut message = response["message"].clone();
    Uuid::parse_str(message["id"].as_str().unwrap()).unwrap();
    assert_time(&message["created_at"]);
    let expected = json!({
        "id": message["id"], "conversation_id": chat.conversation, "sender_id": "ada", "receiver_id": null,
        "body": "Hi, where is my order?", "message_type": "text", "media_url": null, "reply_to": null,
        "created_at": message["created_at"], "updated_at": message["created_at"], "edited_at": null, "deleted_at": null,
    });
    assert_eq!(message, expected);
    message.as_object_mut().unwrap().remove("receiver_id");
    assert_eq!(chat.history("").await[1], message);
}

#[tokio::test]
async fn every_optional_field_is_kept() {
    let chat = Chat::new().await;
    let fields = json!({
        "sender_id": "bob", "receiver_id": "ada", "body": "Here it is", "message_type": "image",
        "media_url": "http://example.com/ä b.png?x=1#y".replace(' ', "%20"), "reply_to": chat.message["id"],
    });
    let message = chat.send_with(&fields).await;
    for (field, value) in fields.as_object().unwrap() {
        assert_eq!(message[field], *value, "{field}");
    }
}

#[tokio::test]
async fn an_image_needs_no_body() {
    let chat = Chat::new().await;
    assert_eq!(chat.call(image(&chat)).await.ok()["message"]["body"], Value::Null);
}

#[tokio::test]
async fn text_comes_back_exactly_as_it_was_sent() {
    let chat = Chat::new().await;
    let longest = "💬".repeat(10_000);
    for text in [
        "'); drop table tinychat.messages; --",
        "{\"json\": [\"\\u0000\"]}",
        " spaces, \ttabs \r\n and lines\n",
        "👩‍👩‍👧‍👦 e\u{301} \u{202e}right to left\u{202c} \u{200b}\u{feff}",
        "\u{1}\u{7f}\u{ffff}",
        &longest,
    ] {
        chat.send("ada", text).await;
        assert_eq!(chat.history("?limit=1").await[0]["body"], text);
    }
}

#[tokio::test]
async fn times_increase_even_when_the_databases_clock_has_gone_back() {
    let chat = Chat::new().await;
    let turn_back =
        "update tinychat.conversations set last_at = last_at + interval '1 hour' where tenant_id = $1";
    chat.db.execute(turn_back, &[&chat.tenant]).await.unwrap();
    let before = chat.conversations_of("ada").await[0]["last_at"].clone();
    let (one, other) = (chat.send("ada", "1").await, chat.send("ada", "2").await);
    let times = [&before, &one["created_at"], &other["created_at"]].map(|time| time.as_str().unwrap());
    assert!(times.is_sorted_by(|earlier, later| earlier < later), "{times:?}");
}

#[tokio::test]
async fn the_sender_need_not_be_a_participant() {
    let chat = Chat::new().await;
    assert_eq!(chat.send("eve", "hello").await["sender_id"], "eve");
}

#[tokio::test]
async fn a_text_without_a_body_answers_400() {
    let chat = Chat::new().await;
    chat.refuses(request(&chat).without_field("body"), 400, "body is required").await;
    let is_required = "body is required";
    refuses_values(request, "body", &[(Value::Null, is_required), (json!(""), is_required)]).await;
}

#[tokio::test]
async fn an_image_without_a_media_url_answers_400() {
    let chat = Chat::new().await;
    chat.refuses(image(&chat).without_field("media_url"), 400, "media_url is required").await;
    let is_required = "media_url is required";
    refuses_values(image, "media_url", &[(Value::Null, is_required), (json!(""), is_required)]).await;
}

#[tokio::test]
async fn a_message_type_that_does_not_exist_answers_400() {
    let unknown = "message_type must be one of text, image";
    let values = [
        (json!("video"), unknown),
        (json!("Text"), unknown),
        (json!(0), "message_type must be a string"),
        (json!({}), "message_type must be a string"),
    ];
    refuses_values(request, "message_type", &values).await;
}

#[tokio::test]
async fn a_media_url_must_be_absolute_http_of_at_most_2048_characters() {
    let chat = Chat::new().await;
    let url =
        |length: usize| format!("https://example.com/{}", "x".repeat(length - "https://example.com/".len()));
    chat.call(image(&chat).with_field("media_url", url(2048))).await.ok();
    let no_url = "media_url must be an absolute http(s) URL";
    let mut values: Vec<_> = [
        "/x.png",
        "//example.com/x.png",
        "example.com/x.png",
        "x.png",
        "ftp://example.com/x.png",
        "javascript:alert(1)",
        "data:image/png;base64,AAAA",
        "https://",
        "https:example.com",
        "http://exa mple.com/x.png",
    ]
    .map(|url| (json!(url), no_url))
    .to_vec();
    values.push((json!(url(2049)), "media_url is too long"));
    values.push((json!("https://example.com/\u{0}"), "media_url must not contain NUL"));
    values.push((json!(["https://example.com/x.png"]), "media_url must be a string"));
    refuses_values(image, "media_url", &values).await;
}

#[tokio::test]
async fn sender_and_receiver_must_be_strings_of_at_most_255_characters() {
    required_string(request, "sender_id", 255).await;
    optional_string(request, "receiver_id", 255).await;
}

#[tokio::test]
async fn a_body_must_be_a_string_of_at_most_10_000_characters() {
    let no_string = "body must be a string";
    let values = [
        (json!(42), no_string),
        (json!(["text"]), no_string),
        (json!({}), no_string),
        (json!("te\u{0}xt"), "body must not contain NUL"),
        (json!("x".repeat(10_001)), "body is too long"),
    ];
    refuses_values(request, "body", &values).await;
}

#[tokio::test]
async fn a_body_of_9_mb_is_refused_and_the_next_request_answered() {
    let chat = Chat::new().await;
    let before = chat.rows().await;
    let response = chat.call(request(&chat).with_field("body", "x".repeat(9_000_000))).await;
    if support::aws_limits() {
        assert_eq!(
            (response.status, response.json()),
            (413, json!({ "message": "Request Entity Too Large" }))
        );
    } else {
        response.error(400, "body is too long");
    }
    assert_eq!(chat.rows().await, before);
    chat.call(request(&chat)).await.ok();
}

#[tokio::test]
async fn a_reply_must_name_a_message_of_the_same_conversation() {
    let (chat, stranger) = (Chat::new().await, Chat::new().await);
    let mut elsewhere = Chat::new().await;
    elsewhere.conversation = elsewhere.converse(&["ada"]).await;
    let no_message = "reply_to is not a message in this conversation";
    for id in [json!(Uuid::new_v4()), json!(Uuid::nil()), json!("m_1"), stranger.message["id"].clone()] {
        chat.refuses(request(&chat).with_field("reply_to", id), 400, no_message).await;
    }
    let to_first_conversation = request(&elsewhere).with_field("reply_to", elsewhere.message["id"].clone());
    elsewhere.refuses(to_first_conversation, 400, no_message).await;
    refuses_values(request, "reply_to", &[(json!(1), "reply_to must be a string")]).await;
}

#[tokio::test]
async fn input_is_checked_before_the_conversation() {
    let mut chat = Chat::new().await;
    chat.conversation = Uuid::new_v4().to_string();
    chat.refuses(request(&chat).without_field("sender_id"), 400, "sender_id is required").await;
    let reply = request(&chat).with_field("reply_to", Uuid::new_v4().to_string());
    chat.refuses(reply, 404, "conversation not found").await;
}

#[tokio::test]
async fn the_same_client_message_id_returns_the_first_message() {
    let chat = Chat::new().await;
    let first =
        chat.send_with(&json!({ "sender_id": "ada", "body": "once", "client_message_id": "c1" })).await;
    let before = chat.rows().await;
    for body in ["once", "twice"] {
        let again =
            chat.send_with(&json!({ "sender_id": "ada", "body": body, "client_message_id": "c1" })).await;
        assert_eq!(again, first);
    }
    assert_eq!(chat.rows().await, before);
}

#[tokio::test]
async fn a_client_message_id_belongs_to_its_sender_and_conversation() {
    let mut chat = Chat::new().await;
    let stranger = Chat::new().await;
    let message = |sender: &str| json!({ "sender_id": sender, "body": "x", "client_message_id": "c1" });
    let mut ids = vec![chat.send_with(&message("ada")).await["id"].take()];
    ids.push(chat.send_with(&message("bob")).await["id"].take());
    ids.push(stranger.send_with(&message("ada")).await["id"].take());
    chat.conversation = chat.converse(&["ada"]).await;
    ids.push(chat.send_with(&message("ada")).await["id"].take());
    ids.sort_by_key(ToString::to_string);
    ids.dedup();
    assert_eq!(ids.len(), 4);
}

#[tokio::test]
async fn twenty_concurrent_sends_of_one_client_message_id_are_one_message() {
    let chat = Chat::new().await;
    let before = count(&chat).await;
    let message = json!({ "sender_id": "ada", "body": "once", "client_message_id": "c1" });
    let sent = join_all((0..20).map(|_| chat.send_with(&message))).await;
    assert!(sent.iter().all(|message| *message == sent[0]));
    assert_eq!(count(&chat).await, before + 1);
}

#[tokio::test]
async fn a_client_message_id_must_be_a_string_of_at_most_64_characters() {
    let chat = Chat::new().await;
    let longest = "💬".repeat(64);
    let send = async || chat.call(request(&chat).with_field("client_message_id", longest.clone())).await.ok();
    assert_eq!(send().await, send().await);
    let values = [
        (json!("x".repeat(65)), "client_message_id is too long"),
        (json!("\u{0}"), "client_message_id must not contain NUL"),
        (json!(1), "client_message_id must be a string"),
    ];
    refuses_values(request, "client_message_id", &values).await;
}

#[tokio::test]
async fn a_null_client_message_id_sends_every_time() {
    let chat = Chat::new().await;
    let message = json!({ "sender_id": "ada", "body": "x", "client_message_id": null });
    assert_ne!(chat.send_with(&message).await["id"], chat.send_with(&message).await["id"]);
}

#[tokio::test]
async fn a_direct_upload_can_be_sent_as_an_image() {
    let chat = Chat::new().await;
    let url = format!("{}/storage/v1/object/public/chat/a/b/c.png", setting("SUPABASE_URL"));
    let message = chat.call(image(&chat).with_field("media_url", url.clone())).await.ok();
    assert_eq!(message["message"]["media_url"], url);
}

fn system(chat: &Chat) -> Request {
    let body = json!({ "sender_id": "shop", "message_type": "system", "body": "Sam has joined" });
    Request::post(chat.path("messages"), &body)
}

#[tokio::test]
async fn a_secret_key_sends_system_messages() {
    let mut chat = Chat::new().await;
    chat.message = chat.call(system(&chat).with_secret_key()).await.ok()["message"].take();
    let kind = |message: &Value| (message["message_type"].clone(), message["body"].clone());
    assert_eq!(kind(&chat.message), (json!("system"), json!("Sam has joined")));
    assert_eq!(kind(&chat.history("").await[1]), kind(&chat.message));
    assert_eq!(chat.conversations_of("bob").await[0]["last_message"], "Sam has joined");
    let bad = system(&chat).with_secret_key();
    chat.refuses(bad.clone().without_field("body"), 400, "body is required").await;
    let unknown = "message_type must be one of text, image, system";
    chat.refuses(bad.with_field("message_type", "video"), 400, unknown).await;
}

#[tokio::test]
async fn to_others_there_are_no_system_messages() {
    let chat = Chat::new().await;
    let key = TokenKey::new(&chat).await;
    let unknown = "message_type must be one of text, image";
    chat.refuses(system(&chat), 400, unknown).await;
    for role in ["customer", "admin", "support"] {
        chat.refuses(system(&chat).with_key(key.token_as("shop", role)), 400, unknown).await;
    }
}

/// A publishable key may name any sender, but only a secret key can send system messages.
#[tokio::test]
async fn a_system_message_is_changed_by_the_secret_key_only() {
    let mut chat = Chat::new().await;
    chat.message = chat.call(system(&chat).with_secret_key()).await.ok()["message"].take();
    let shop = json!({ "sender_id": "shop", "body": "Eve has joined" });
    let edit = Request::patch(chat.message_path(), &shop);
    let delete = Request::delete(chat.message_path(), &shop);
    for request in [edit.clone(), delete.clone()] {
        chat.refuses(request.clone(), 403, "secret key required").await;
        let other = request.with_field("sender_id", "ada");
        chat.refuses(other, 403, "only the sender may change this message").await;
    }
    let edited = chat.call(edit.with_secret_key()).await.ok();
    assert_eq!(edited["message"]["body"], "Eve has joined");
    chat.call(delete.with_secret_key()).await.ok();
}
