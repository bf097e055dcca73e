//! `metadata` and `client_message_id`, which an app stores with a message and gets wherever the message appears.

use serde_json::{Value, json};
use support::checks::refuses_values;
use support::{Channel, Chat, Document, Receiver, Request, assert_keys};

fn request(chat: &Chat) -> Request {
    let message = json!({ "sender_id": "ada", "body": "hi", "metadata": { "a": 1 } });
    Request::post(chat.path("messages"), &message)
}

/// Returns the fields `client_message_id` and `metadata` of a message, if they were set.
fn marks(message: &Value) -> Value {
    let fields = message.as_object().unwrap().clone().into_iter();
    fields.filter(|(name, _)| ["client_message_id", "metadata"].contains(&name.as_str())).collect()
}

#[tokio::test]
async fn they_come_back_in_answers_history_changes_broadcasts_and_webhooks() {
    let mut chat = Chat::without_messages().await;
    let receiver = Receiver::new().await;
    chat.webhook(&receiver.url).await;
    let mut channel = Channel::join(&chat.conversation).await;
    let expected =
        json!({ "client_message_id": "c1", "metadata": { "place": { "lat": 1.50 }, "tags": ["é", null] } });
    let message = json!({
        "sender_id": "ada", "body": "hi", "client_message_id": "c1", "metadata": expected["metadata"],
    });
    chat.message = chat.send_with(&message).await;
    assert_eq!(marks(&chat.message), expected);
    assert_eq!(chat.send_with(&message).await, chat.message, "a repeat");
    let edit = Request::patch(chat.message_path(), &json!({ "sender_id": "ada", "body": "edited" }));
    let edited = chat.call(edit).await.ok()["message"].take();
    assert_eq!(marks(&edited), expected);
    assert_eq!(marks(&chat.history("").await[0]), expected);
    let since = async || {
        let path = chat.path("messages?since=2026-01-01T00:00:00Z");
        marks(&chat.call(Request::get(path)).await.ok()["messages"][0])
    };
    assert_eq!(since().await, expected);

    // Metadata is content, so a deletion removes it.
    let delete = Request::delete(chat.message_path(), &json!({ "sender_id": "ada" }));
    let deleted = chat.call(delete).await.ok()["message"].take();
    assert_eq!(marks(&deleted), json!({ "client_message_id": "c1" }));
    assert_eq!(since().await, json!({ "client_message_id": "c1" }));
    assert_eq!(chat.rows().await["messages"][0]["metadata"], expected["metadata"]);

    let told = [&chat.message, &edited, &deleted];
    for message in told {
        assert_eq!(channel.next("message").await, json!({ "message": message }));
    }
    for (received, message) in receiver.wait_for(3).await.iter().zip(told) {
        Document::get().check_webhook(&received.json());
        assert_eq!(received.json()["data"]["message"], *message);
    }
}

#[tokio::test]
async fn they_are_shown_only_where_they_were_set() {
    let chat = Chat::new().await;
    for unset in [
        json!({}),
        json!({ "metadata": null, "client_message_id": null }),
        json!({ "client_message_id": "" }),
    ] {
        let mut message = unset;
        message["sender_id"] = json!("ada");
        message["body"] = json!("hi");
        let sent = chat.send_with(&message).await;
        assert_eq!(marks(&sent), json!({}));
        assert_keys(
            &sent,
            &[
                "id",
                "conversation_id",
                "sender_id",
                "receiver_id",
                "body",
                "message_type",
                "media_url",
                "reply_to",
                "created_at",
                "updated_at",
                "edited_at",
                "deleted_at",
            ],
        );
    }
    assert!(chat.history("").await.iter().all(|message| marks(message) == json!({})));
    let set = chat.send_with(&json!({ "sender_id": "ada", "body": "hi", "metadata": {} })).await;
    assert_eq!(marks(&set), json!({ "metadata": {} }));
}

#[tokio::test]
async fn the_first_message_keeps_its_own() {
    let chat = Chat::new().await;
    let send = async |metadata: Value| {
        let message =
            json!({ "sender_id": "ada", "body": "hi", "client_message_id": "c1", "metadata": metadata });
        chat.send_with(&message).await
    };
    let first = send(json!({ "n": 1 })).await;
    assert_eq!(send(json!({ "n": 2 })).await, first);
    assert_eq!(send(Value::Null).await, first);
}

#[tokio::test]
async fn metadata_is_an_object_of_at_most_4_kib_without_nul() {
    let chat = Chat::new().await;
    let frame = json!({ "x": "" }).to_string().len();
    let of_size = |bytes: usize| json!({ "x": "x".repeat(bytes - frame) });
    let sent = chat.call(request(&chat).with_field("metadata", of_size(4096))).await.ok();
    assert_eq!(sent["message"]["metadata"], of_size(4096));
    let (no_object, nul) = ("metadata must be an object", "metadata must not contain NUL");
    let values = [
        (of_size(4097), "metadata is too long"),
        (json!("{}"), no_object),
        (json!([]), no_object),
        (json!(1), no_object),
        (json!({ "a": "\u{0}" }), nul),
        (json!({ "\u{0}": 1 }), nul),
        (json!({ "a": [{ "b": "x\u{0}" }] }), nul),
    ];
    refuses_values(request, "metadata", &values).await;
}

#[tokio::test]
async fn numbers_in_metadata_keep_their_digits() {
    let chat = Chat::new().await;
    let body = r#"{"sender_id": "ada", "body": "hi", "metadata": {"n": 12345678901234567890.10}}"#;
    let response = chat.call(request(&chat).body("application/json", body)).await;
    response.ok();
    let text = String::from_utf8(response.body).unwrap().replace(' ', "");
    assert!(text.contains(r#""metadata":{"n":12345678901234567890.10}"#), "{text}");
}
