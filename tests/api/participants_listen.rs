//! Private channels for participants. GET /v1/config exchanges a user token for an access token for Realtime, and a policy in
//! Postgres decides which channels it opens.

use crate::realtime::SupabaseJs;
use chrono::DateTime;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::{Value, json};
use support::lambda::event;
use support::token_key::{TokenKey, claims, now};
use support::{Channel, Chat, Function, Request, assert_time, setting};

/// The secret that every local Supabase has.
const LEGACY_SECRET: &str = "super-secret-jwt-token-with-at-least-32-characters-long";

/// Returns the member `realtime` of GET /v1/config for a credential.
async fn realtime(chat: &Chat, credential: &str) -> Value {
    chat.call(Request::get("/v1/config").with_key(credential)).await.ok()["realtime"].take()
}

async fn access_token(chat: &Chat, credential: &str) -> String {
    realtime(chat, credential).await["access_token"].as_str().unwrap().to_owned()
}

/// Creates a chat whose tenant requires tokens. Returns its token key, too.
async fn closed() -> (Chat, TokenKey) {
    let chat = Chat::without_messages().await;
    let key = TokenKey::new(&chat).await;
    chat.require_tokens().await;
    (chat, key)
}

#[tokio::test]
async fn a_user_token_is_answered_with_a_jwt_for_realtime() {
    let (chat, key) = closed().await;
    for (role, staff) in [("customer", false), ("support", true)] {
        let response = realtime(&chat, &key.token_as("ada", role)).await;
        assert_eq!((&response["private"], &response["channel_prefix"]), (&json!(true), &json!("conv:")));
        let jwk: Jwk = serde_json::from_str(&setting("REALTIME_JWT_KEY")).unwrap();
        let mut validation = Validation::new(Algorithm::ES256);
        validation.validate_aud = false;
        let token = response["access_token"].as_str().unwrap();
        let jwt =
            jsonwebtoken::decode::<Value>(token, &DecodingKey::from_jwk(&jwk).unwrap(), &validation).unwrap();
        assert_eq!(jwt.header.kid, jwk.common.key_id);
        assert_eq!(jwt.claims["role"], "authenticated");
        assert!(jwt.claims.get("sub").is_none());
        let expected = json!({ "tenant": chat.tenant, "user": "ada", "staff": staff });
        assert_eq!(jwt.claims["tinychat"], expected);
        assert_time(&response["expires_at"]);
        let end = DateTime::parse_from_rfc3339(response["expires_at"].as_str().unwrap()).unwrap();
        assert_eq!(json!(end.timestamp()), jwt.claims["exp"]);
    }
}

#[tokio::test]
async fn it_lives_as_long_as_the_user_token_and_an_hour_at_most() {
    let (chat, key) = closed().await;
    for (life, expected) in [(600, 600), (86_000, 3600)] {
        let mut claims = claims("ada");
        claims["exp"] = json!(now() + life);
        let response = realtime(&chat, &key.sign(&claims)).await;
        let end = DateTime::parse_from_rfc3339(response["expires_at"].as_str().unwrap()).unwrap();
        let left = end.timestamp() - i64::try_from(now()).unwrap();
        assert!((expected - 10..=expected).contains(&left), "{left}");
    }
}

#[tokio::test]
async fn a_publishable_key_learns_that_channels_are_private_and_gets_no_access() {
    let (chat, _) = closed().await;
    let response = realtime(&chat, &chat.key).await;
    assert_eq!(response["private"], true);
    assert!(response.get("access_token").is_none() && response.get("expires_at").is_none());
}

#[tokio::test]
async fn participants_and_staff_hear_and_nobody_else() {
    let (chat, key) = closed().await;
    let mut listeners = Vec::new();
    for token in [key.token("ada"), key.token("bob"), key.token_as("sam", "support")] {
        let (channel, reply) = Channel::ask_as(&chat.conversation, &access_token(&chat, &token).await).await;
        assert_eq!(reply["status"], "ok", "{reply}");
        listeners.push(channel);
    }
    let other = Chat::without_messages().await;
    let others_key = TokenKey::new(&other).await;
    let eve = access_token(&chat, &key.token("eve")).await;
    let foreign = access_token(&other, &others_key.token_as("ada", "admin")).await;
    for token in
        [eve.as_str(), foreign.as_str(), "", "x.y.z", &eve[..eve.len() - 4], &setting("SUPABASE_ANON_KEY")]
    {
        let (_, reply) = Channel::ask_as(&chat.conversation, token).await;
        assert_eq!(reply["status"], "error", "{token}: {reply}");
    }
    let (_, reply) = Channel::ask_to_join(&format!("conv:{}", chat.conversation), "2.0.0", true).await;
    assert_eq!(reply["status"], "error", "with the public key alone: {reply}");
    let mut public = Channel::join(&chat.conversation).await;

    let token = key.token("ada");
    let message = json!({ "body": "for us" });
    let sent = chat.call(Request::post(chat.path("messages"), &message).with_key(&token)).await.ok();
    chat.call(Request::post(chat.path("typing"), &json!({})).with_key(&token)).await.ok();
    for listener in &mut listeners {
        assert_eq!(listener.next("message").await, sent);
        assert_eq!(listener.next("typing").await, json!({ "senderId": "ada", "senderName": null }));
    }
    chat.settle().await;
    public.is_silent().await;
}

#[tokio::test]
async fn while_tokens_are_optional_apps_with_and_without_them_hear() {
    let chat = Chat::without_messages().await;
    let key = TokenKey::new(&chat).await;
    let (mut private, reply) =
        Channel::ask_as(&chat.conversation, &access_token(&chat, &key.token("ada")).await).await;
    assert_eq!(reply["status"], "ok", "{reply}");
    let mut public = Channel::join(&chat.conversation).await;
    assert!(realtime(&chat, &chat.key).await.get("private").is_none());
    let sent = chat.send("ada", "hi all").await;
    chat.settle().await;
    for channel in [&mut private, &mut public] {
        assert_eq!(channel.next("message").await["message"], sent);
        channel.is_silent().await;
    }
}

#[tokio::test]
async fn a_removed_participant_hears_until_the_token_is_renewed_or_ends() {
    let (chat, key) = closed().await;
    let mut short = claims("bob");
    short["exp"] = json!(now() + 3);
    let short = access_token(&chat, &key.sign(&short)).await;
    let (mut ends, reply) = Channel::ask_as(&chat.conversation, &short).await;
    assert_eq!(reply["status"], "ok", "{reply}");
    let long = access_token(&chat, &key.token("bob")).await;
    let (mut renews, _) = Channel::ask_as(&chat.conversation, &long).await;
    let ada = access_token(&chat, &key.token("ada")).await;
    let (mut stays, _) = Channel::ask_as(&chat.conversation, &ada).await;

    let remove =
        "delete from tinychat.participants where conversation_id = $1::text::uuid and user_id = 'bob'";
    chat.db.execute(remove, &[&chat.conversation]).await.unwrap();
    let send = async || {
        let message = Request::post(chat.path("messages"), &json!({ "body": "hi" }));
        chat.call(message.with_key(key.token("ada"))).await.ok();
    };
    send().await;
    for channel in [&mut ends, &mut renews, &mut stays] {
        channel.next("message").await;
    }
    assert_eq!(ends.ended().await, "Access token has expired");
    renews.renew(&access_token(&chat, &key.token("bob")).await).await;
    let reason = renews.ended().await;
    assert!(reason.as_str().unwrap().contains("You do not have permissions"), "{reason}");
    stays.renew(&access_token(&chat, &key.token("ada")).await).await;
    stays.is_silent().await; // the server has taken the new token
    send().await;
    chat.settle().await;
    stays.next("message").await;
    for channel in [&mut ends, &mut renews] {
        channel.is_silent().await;
    }
}

#[tokio::test]
async fn supabase_js_hears_while_its_token_is_renewed_and_its_user_takes_part() {
    let (chat, key) = closed().await;
    let kid = key.kid.to_string();
    let listen = |user: &str, seconds: &str, mode: &str| {
        let arguments = ["private.mjs", &chat.conversation, user, seconds, mode];
        SupabaseJs::start(&arguments, &[("TOKEN_KID", &kid), ("TOKEN_SECRET", &key.secret)])
    };
    let mut ada = listen("ada", "4", "renewed");
    let mut bob = listen("bob", "8", "kept");
    let mut eve = listen("eve", "600", "renewed");
    for (listener, status) in
        [(&mut ada, "SUBSCRIBED"), (&mut bob, "SUBSCRIBED"), (&mut eve, "CHANNEL_ERROR")]
    {
        assert_eq!(listener.next().await, json!({ "status": status }));
    }
    let say = async || {
        let message = Request::post(chat.path("messages"), &json!({ "body": "hi" }));
        let sent = chat.call(message.with_key(key.token("ada"))).await.ok();
        json!({ "event": "message", "payload": sent })
    };
    let sent = say().await;
    for listener in [&mut ada, &mut bob] {
        assert_eq!(listener.next().await, sent);
    }
    let remove =
        "delete from tinychat.participants where conversation_id = $1::text::uuid and user_id = 'bob'";
    chat.db.execute(remove, &[&chat.conversation]).await.unwrap();
    assert_eq!(bob.next().await, json!({ "status": "CLOSED" }), "when the token ends");
    let sent = say().await;
    assert_eq!(ada.next().await, sent, "her first token has ended too");
    bob.is_silent().await;
}

#[tokio::test]
async fn the_legacy_secret_signs_too_and_another_key_stops_the_function_at_its_start() {
    let (chat, key) = closed().await;
    let mut function = Function::start("get-config", &[("REALTIME_JWT_KEY", LEGACY_SECRET)]).await;
    let mut request = event("get-config");
    request["headers"]["x-tinychat-api-key"] = json!(key.token("ada"));
    let (status, response) = function.call(request).await;
    assert_eq!(status, 200, "{response}");
    let token = response["realtime"]["access_token"].as_str().unwrap();
    let (_, reply) = Channel::ask_as(&chat.conversation, token).await;
    assert_eq!(reply["status"], "ok", "{reply}");

    let jwk: Value = serde_json::from_str(&setting("REALTIME_JWT_KEY")).unwrap();
    for (name, value) in
        [("crv", json!("P-384")), ("d", json!("AAAA")), ("kid", json!("")), ("x", json!("?"))]
    {
        let mut bad = jwk.clone();
        bad[name] = value;
        let error = Function::start_up_error("get-config", &[("REALTIME_JWT_KEY", &bad.to_string())]).await;
        assert!(error.contains("REALTIME_JWT_KEY must be a private ES256 key"), "{error}");
        assert!(!error.contains(jwk["d"].as_str().unwrap()), "{error}");
    }
}

#[tokio::test]
async fn without_a_key_a_user_token_gets_the_configuration_and_no_access() {
    let (chat, key) = closed().await;
    let mut function = Function::start("get-config", &[("REALTIME_JWT_KEY", "")]).await;
    let mut request = event("get-config");
    request["headers"]["x-tinychat-api-key"] = json!(key.token("ada"));
    let (status, response) = function.call(request).await;
    assert_eq!((status, &response["tenant"]["id"]), (200, &json!(chat.tenant)));
    assert_eq!(response["realtime"]["private"], true);
    assert!(response["realtime"].get("access_token").is_none());
}
