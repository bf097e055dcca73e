//! GET /v1/config

use serde_json::json;
use support::{Chat, Function, Request, setting};

fn request(_: &Chat) -> Request {
    Request::get("/v1/config")
}

every_route!(request);

#[tokio::test]
async fn it_names_the_tenant_and_the_realtime_endpoint() {
    let chat = Chat::new().await;
    let expected = json!({
        "tenant": { "id": chat.tenant, "name": "Test" },
        "realtime": {
            "supabase_url": setting("SUPABASE_URL"),
            "supabase_anon_key": setting("SUPABASE_ANON_KEY"),
            "channel_prefix": "conv:",
        },
    });
    assert_eq!(chat.call(request(&chat)).await.ok(), expected);
}

#[tokio::test]
async fn each_tenant_sees_itself() {
    let (one, other) = (Chat::new().await, Chat::new().await);
    for chat in [&one, &other] {
        assert_eq!(chat.call(request(chat)).await.ok()["tenant"]["id"], json!(chat.tenant));
    }
}

#[tokio::test]
async fn a_second_key_of_the_tenant_opens_too_and_survives_the_first() {
    let chat = Chat::new().await;
    let second = format!("pk_live_{}", chat.tenant.simple());
    chat.add_key(&second).await;
    chat.call(request(&chat).with_key(&second)).await.ok();
    chat.revoke_key().await;
    chat.refuses(request(&chat), 401, "invalid api key").await;
    chat.call(request(&chat).with_key(&second)).await.ok();
}

#[tokio::test]
async fn a_secret_key_in_place_of_the_public_one_stops_the_function_at_its_start() {
    for key in [&setting("SUPABASE_SERVICE_ROLE_KEY"), "sb_secret_abc"] {
        let error = Function::start_up_error("get-config", &[("SUPABASE_ANON_KEY", key)]).await;
        assert!(error.contains("SUPABASE_ANON_KEY must be the project's public key"), "{error}");
        assert!(!error.contains(key), "{error}");
    }
}

#[tokio::test]
async fn an_address_that_is_none_stops_the_function_at_its_start() {
    for url in ["abcdefghijkl.supabase.co", "data:,x", "http://"] {
        let error = Function::start_up_error("get-config", &[("SUPABASE_URL", url)]).await;
        assert!(error.contains("SUPABASE_URL must be an address"), "{error}");
    }
}
