//! POST /v1/users

use futures_util::future::join_all;
use serde_json::{Value, json};
use support::checks::{optional_string, refuses_values, required_string};
use support::{Chat, Request, assert_keys, assert_time};

fn request(_: &Chat) -> Request {
    Request::post("/v1/users", &json!({ "user_id": "ada" }))
}

every_route!(request);
json_route!(request);

/// Upserts the user `ada` with these fields. Returns the user as answered.
async fn upsert(chat: &Chat, fields: Value) -> Value {
    chat.call(request(chat).with(&fields)).await.ok()["user"].take()
}

/// Returns a user without the fields that differ in each run.
fn lasting(mut user: Value) -> Value {
    for field in ["id", "tenant_id", "last_seen_at"] {
        user.as_object_mut().unwrap().remove(field).unwrap();
    }
    user
}

#[tokio::test]
async fn a_new_user_gets_the_defaults() {
    let chat = Chat::new().await;
    let response = chat.call(request(&chat)).await.ok();
    assert_keys(&response, &["user"]);
    let user = &response["user"];
    assert_eq!(user["tenant_id"], json!(chat.tenant));
    assert_time(&user["last_seen_at"]);
    let expected = json!({
        "user_id": "ada", "name": null, "email": null, "role": "customer", "fcm_tokens": [], "notification_prefs": {},
    });
    assert_eq!(lasting(user.clone()), expected);
}

#[tokio::test]
async fn what_is_given_is_stored_and_replaced() {
    let chat = Chat::new().await;
    let first = json!({
        "user_id": "ada", "name": "Ada Lovelace", "email": "ada@example.com", "role": "driver",
        "fcm_tokens": ["a", "b"], "notification_prefs": { "mute": true, "hours": [22, 7], "é": { "n": null } },
    });
    assert_eq!(lasting(upsert(&chat, first.clone()).await), first);
    let second = json!({
        "user_id": "ada", "name": "Augusta", "email": "king@example.com", "role": "support",
        "fcm_tokens": [], "notification_prefs": {},
    });
    assert_eq!(lasting(upsert(&chat, second.clone()).await), second);
}

#[tokio::test]
async fn what_is_left_out_null_or_empty_keeps_what_is_stored() {
    let chat = Chat::new().await;
    let full = json!({
        "user_id": "ada", "name": "Ada", "email": "ada@example.com", "role": "admin",
        "fcm_tokens": ["a"], "notification_prefs": { "mute": true },
    });
    let first = upsert(&chat, full.clone()).await;
    let null = json!({
        "name": null, "email": null, "role": null, "fcm_tokens": null, "notification_prefs": null
    });
    for nothing in [json!({}), null, json!({ "name": "", "email": "" })] {
        let user = upsert(&chat, nothing).await;
        assert_eq!(user["id"], first["id"]);
        assert_eq!(lasting(user), full);
    }
}

#[tokio::test]
async fn seeing_a_user_again_moves_last_seen_at_on() {
    let chat = Chat::new().await;
    let first = upsert(&chat, json!({})).await;
    tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    let second = upsert(&chat, json!({})).await;
    assert!(second["last_seen_at"].as_str() > first["last_seen_at"].as_str(), "{first} {second}");
}

#[tokio::test]
async fn every_role_is_taken() {
    let chat = Chat::new().await;
    for role in ["customer", "driver", "admin", "support"] {
        assert_eq!(upsert(&chat, json!({ "role": role })).await["role"], role);
    }
}

#[tokio::test]
async fn two_tenants_may_name_their_users_alike() {
    let (one, other) = (Chat::new().await, Chat::new().await);
    let first = upsert(&one, json!({ "name": "Ada" })).await;
    let second = upsert(&other, json!({})).await;
    assert_ne!(first["id"], second["id"]);
    assert_eq!((&second["tenant_id"], &second["name"]), (&json!(other.tenant), &Value::Null));
}

#[tokio::test]
async fn twenty_concurrent_upserts_make_one_user() {
    let chat = Chat::new().await;
    let users = join_all((0..20).map(|_| upsert(&chat, json!({})))).await;
    assert!(users.iter().all(|user| user["id"] == users[0]["id"]));
    assert_eq!(chat.rows().await["users"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn the_user_id_must_be_a_string_of_at_most_255_characters() {
    required_string(request, "user_id", 255).await;
}

#[tokio::test]
async fn the_longest_user_id_is_taken() {
    let chat = Chat::new().await;
    let longest = "💬".repeat(255);
    assert_eq!(upsert(&chat, json!({ "user_id": longest })).await["user_id"], longest);
}

#[tokio::test]
async fn name_and_email_must_be_strings_of_at_most_255_characters() {
    optional_string(request, "name", 255).await;
    optional_string(request, "email", 255).await;
}

#[tokio::test]
async fn a_role_that_does_not_exist_answers_400() {
    let unknown = "role must be one of customer, driver, admin, support";
    let no_string = "role must be a string";
    let values = [
        (json!("root"), unknown),
        (json!("Customer"), unknown),
        (json!(1), no_string),
        (json!([]), no_string),
    ];
    refuses_values(request, "role", &values).await;
}

#[tokio::test]
async fn fcm_tokens_are_at_most_20_strings_of_at_most_4096_characters() {
    let chat = Chat::new().await;
    let most = json!(vec!["x".repeat(4096); 20]);
    assert_eq!(upsert(&chat, json!({ "fcm_tokens": most })).await["fcm_tokens"], most);
    let no_array = "fcm_tokens must be an array of strings";
    let values = [
        (json!("token"), no_array),
        (json!({}), no_array),
        (json!([1]), no_array),
        (json!([null]), no_array),
        (json!(vec!["x"; 21]), "too many fcm_tokens"),
        (json!(["x".repeat(4097)]), "fcm_tokens is too long"),
        (json!(["\u{0}"]), "fcm_tokens must not contain NUL"),
    ];
    refuses_values(request, "fcm_tokens", &values).await;
}

#[tokio::test]
async fn numbers_in_notification_prefs_come_back_exactly() {
    let chat = Chat::new().await;
    let prefs = json!({ "most": f64::MAX, "least": f64::MIN_POSITIVE, "third": 1.0 / 3.0, "whole": u64::MAX, "no": -1 });
    assert_eq!(upsert(&chat, json!({ "notification_prefs": prefs })).await["notification_prefs"], prefs);
    for (sent, back) in [
        ("18446744073709551617", "18446744073709551617"),
        ("-123456789012345678901234567890", "-123456789012345678901234567890"),
        ("0.1234567890123456789012345678901234567890", "0.1234567890123456789012345678901234567890"),
        ("1.10", "1.10"),
        ("12345678901234567890e2", "1234567890123456789000"),
        ("1E-20", "0.00000000000000000001"),
        ("1e-400", &format!("0.{}1", "0".repeat(399))),
        ("-0", "0"),
        ("-0.0", "0.0"),
    ] {
        assert_eq!(
            prefs_as_text(&chat, &format!("{{ \"n\" : {sent} }}")).await,
            format!("{{\"n\": {back}}}")
        );
    }
}

#[tokio::test]
async fn digits_of_any_number_in_notification_prefs_come_back_exactly() {
    let chat = Chat::new().await;
    let digits: String =
        (0..300).map(|place| char::from_digit(1 + (place * place + place / 7) % 9, 10).unwrap()).collect();
    let numbers = (1..300).step_by(19).flat_map(|length| {
        let (whole, fraction) = (&digits[..length], &digits[300 - length..]);
        [whole.to_owned(), format!("-{whole}"), format!("0.{fraction}"), format!("{whole}.{fraction}")]
    });
    let prefs = format!("{{\"n\": [{}]}}", numbers.collect::<Vec<_>>().join(", "));
    assert_eq!(prefs_as_text(&chat, &prefs).await, prefs);
}

/// Stores `notification_prefs`. Returns their text in the response.
async fn prefs_as_text(chat: &Chat, prefs: &str) -> String {
    let body = format!("{{\"user_id\": \"ada\", \"notification_prefs\": {prefs}}}");
    let response = chat.call(request(chat).body("application/json", body)).await;
    response.ok();
    let text = String::from_utf8(response.body).unwrap();
    let (_, rest) = text.split_once("\"notification_prefs\":").unwrap();
    rest.split_once(",\"last_seen_at\"").unwrap().0.to_owned()
}

#[tokio::test]
async fn notification_prefs_are_an_object_of_at_most_16_kib() {
    let chat = Chat::new().await;
    let frame = r#"{"x":""}"#.len();
    let most = json!({ "x": "x".repeat(16 * 1024 - frame) });
    assert_eq!(upsert(&chat, json!({ "notification_prefs": most })).await["notification_prefs"], most);
    let no_object = "notification_prefs must be an object";
    let nul = "notification_prefs must not contain NUL";
    let values = [
        (json!("{}"), no_object),
        (json!([]), no_object),
        (json!(true), no_object),
        (json!({ "x": "x".repeat(16 * 1024 - frame + 1) }), "notification_prefs is too long"),
        (json!({ "x": [{ "y": "\u{0}" }] }), nul),
        (json!({ "\u{0}": 1 }), nul),
    ];
    refuses_values(request, "notification_prefs", &values).await;
    for number in ["1e-16384", "-1.5E-99999999999999999999", "0e9999999999"] {
        let body = format!("{{\"user_id\": \"ada\", \"notification_prefs\": {{\"n\": {number}}}}}");
        let request = request(&chat).body("application/json", body);
        chat.refuses(request, 400, "notification_prefs is too long").await;
    }
}
