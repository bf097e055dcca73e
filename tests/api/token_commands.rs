//! `tinychat tokens`, and its effect on the API.

use serde_json::Value;
use support::command_line::{json, json_with, run, run_with};
use support::{Chat, Request};

/// Signs a token for a user with a key that `tokens create` made.
async fn sign(chat: &Chat, key: &Value, user: &str) -> String {
    let line = format!("tokens sign {} {} {user}", chat.tenant, key["kid"].as_str().unwrap());
    let secret = key["secret"].as_str().unwrap();
    let signed = json_with(&line, &[("TINYCHAT_TOKEN_SECRET", secret)]).await;
    signed["token"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_key_that_is_created_signs_until_it_is_revoked() {
    let chat = Chat::new().await;
    let key = json(&format!("tokens create {}", chat.tenant)).await;
    let kid = key["kid"].as_str().unwrap();
    let token = sign(&chat, &key, "ada").await;
    let history = Request::get(chat.path("messages")).with_key(&token);
    chat.call(history.clone()).await.ok();
    let listed = json(&format!("tokens list {}", chat.tenant)).await;
    assert_eq!((&listed[0]["kid"], &listed[0]["state"]), (&key["kid"], &Value::from("active")));
    assert!(!listed.to_string().contains(key["secret"].as_str().unwrap()));
    json(&format!("tokens revoke {} {kid}", chat.tenant)).await;
    chat.call(history).await.error(401, "invalid user token");
    assert_eq!(run(&format!("tokens revoke {} {kid}", chat.tenant)).await.0, 3);
}

#[tokio::test]
async fn a_users_tokens_end_and_later_ones_are_good() {
    let chat = Chat::new().await;
    let key = json(&format!("tokens create {}", chat.tenant)).await;
    let [ada, bob] = [sign(&chat, &key, "ada").await, sign(&chat, &key, "bob").await];
    json(&format!("tokens revoke {} --user ada", chat.tenant)).await;
    let history = Request::get(chat.path("messages"));
    chat.call(history.clone().with_key(&ada)).await.error(401, "invalid user token");
    chat.call(history.clone().with_key(&bob)).await.ok();
    tokio::time::sleep(std::time::Duration::from_millis(1_100)).await; // `iat` has whole seconds
    let later = sign(&chat, &key, "ada").await;
    chat.call(history.with_key(&later)).await.ok();
}

#[tokio::test]
async fn tokens_are_required_from_the_switch_on_and_off_again_at_once() {
    let chat = Chat::new().await;
    let (code, _, error) = run(&format!("tokens require {} on", chat.tenant)).await;
    assert!(code == 1 && error.contains("`tinychat tokens create`"), "{code} {error}");
    json(&format!("tokens create {}", chat.tenant)).await;
    let history = Request::get(chat.path("messages"));
    for (switch, status) in [("on", 401), ("off", 200)] {
        json(&format!("tokens require {} {switch}", chat.tenant)).await;
        assert_eq!(chat.call(history.clone()).await.status, status);
    }
}

#[tokio::test]
async fn a_secret_of_another_key_signs_nothing() {
    let chat = Chat::new().await;
    let [mut key, other] = [
        json(&format!("tokens create {}", chat.tenant)).await,
        json(&format!("tokens create {}", chat.tenant)).await,
    ];
    key["secret"] = other["secret"].clone();
    let line = format!("tokens sign {} {} ada", chat.tenant, key["kid"].as_str().unwrap());
    let secret = key["secret"].as_str().unwrap();
    let (code, out, error) = run_with(&line, &[("TINYCHAT_TOKEN_SECRET", secret)]).await;
    assert!(code == 1 && out.is_empty() && error.contains("isn't that of this key"), "{code} {error}");
    assert!(!error.contains(secret));
}

#[tokio::test]
async fn a_secret_key_is_made_on_request_and_replaced_by_another() {
    let chat = Chat::new().await;
    let key = json(&format!("keys create {} --secret", chat.tenant)).await;
    let key = key["key"].as_str().unwrap();
    assert!(key.starts_with("sk_live_"), "{key}");
    chat.require_tokens().await;
    chat.call(Request::get(chat.path("messages")).with_key(key)).await.ok();
    let replaced = json(&format!("keys rotate {} {} --overlap 0", chat.tenant, &key[..16])).await;
    let new = replaced["key"].as_str().unwrap();
    assert!(new.starts_with("sk_live_"), "{new}");
    chat.call(Request::get(chat.path("messages")).with_key(new)).await.ok();
    chat.refuses(Request::get(chat.path("messages")).with_key(key), 401, "invalid api key").await;
}

#[tokio::test]
async fn what_is_not_there_is_said_so() {
    let nobody = uuid::Uuid::new_v4();
    for line in [
        format!("tokens create {nobody}"),
        format!("tokens list {nobody}"),
        format!("tokens require {nobody} on"),
        format!("tokens require {nobody} off"),
        format!("tokens revoke {nobody} --user ada"),
        format!("tokens revoke {nobody} {nobody}"),
    ] {
        assert_eq!(run(&line).await.0, 3, "{line}");
    }
    for line in [format!("tokens revoke {nobody}"), format!("tokens revoke {nobody} {nobody} --user ada")] {
        assert_eq!(run(&line).await.0, 2, "{line}");
    }
}
