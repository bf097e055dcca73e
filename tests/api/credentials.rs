//! Credentials of every kind, valid and invalid, on every route.

use crate::isolation::{Ids, example, fill, is_servers, routes};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::crypto::sign;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Validation};
use serde_json::{Value, json};
use support::token_key::{TokenKey, claims, now};
use support::{Chat, Request};
use uuid::Uuid;

const INVALID: (u16, &str) = (401, "invalid user token");

/// A chat whose tenant signs tokens, and a request for each route, made by its user `ada`.
struct World {
    chat: Chat,
    key: TokenKey,
    requests: Vec<(String, Request)>,
}

impl World {
    async fn new() -> Self {
        let chat = Chat::new().await;
        let key = TokenKey::new(&chat).await;
        let message = chat.message["id"].as_str().unwrap().to_owned();
        let ids = Ids::from([
            ("id", chat.conversation.clone()),
            ("msgId", message.clone()),
            ("reply_to", message),
            ("user_id", "ada".to_owned()),
            ("external_ref", "order_1".to_owned()),
            ("client_message_id", "client_1".to_owned()),
        ]);
        let requests = routes().into_iter().filter(|(_, path)| path != "$default");
        let requests = requests.map(|(method, path)| {
            let (query, body) = example(&method, &path);
            (format!("{method} {path}"), fill(&method, &path, query, &body, &ids))
        });
        Self { requests: requests.collect(), chat, key }
    }

    async fn status(&self, request: &Request, credential: &str) -> (u16, Value) {
        let response = self.chat.call(request.clone().with_key(credential)).await;
        let body: Value = serde_json::from_slice(&response.body).unwrap();
        (response.status, body["error"].clone())
    }

    /// Asserts the response of every route to a credential. `expected` returns the status and the error for a route.
    async fn responses(&self, credential: &str, expected: impl Fn(&str) -> (u16, Option<&'static str>)) {
        let undelete =
            "update tinychat.messages set deleted_at = null where conversation_id = $1::text::uuid";
        self.chat.db.execute(undelete, &[&self.chat.conversation]).await.unwrap();
        for (route, request) in &self.requests {
            let (status, error) = expected(route);
            assert_eq!(
                self.status(request, credential).await,
                (status, json!(error)),
                "{route} {credential}"
            );
        }
    }

    async fn refuse(&self, credential: &str, (status, error): (u16, &'static str)) {
        self.responses(credential, |_| (status, Some(error))).await;
    }
}

fn ok(_: &str) -> (u16, Option<&'static str>) {
    (200, None)
}

/// The response to callers who are neither the tenant's backend nor staff.
fn ok_to_users(route: &str) -> (u16, Option<&'static str>) {
    let (method, path) = route.split_once(' ').unwrap();
    if is_servers(method, path) { (403, Some("secret key required")) } else { (200, None) }
}

fn secret_key() -> String {
    format!("sk_test_{}", Uuid::new_v4().simple())
}

#[tokio::test]
async fn a_publishable_key_opens_every_route_for_users() {
    let world = World::new().await;
    world.responses(&world.chat.key, ok_to_users).await;
}

#[tokio::test]
async fn a_secret_key_opens_every_route_of_its_tenant() {
    let world = World::new().await;
    let secret = secret_key();
    world.chat.add_secret_key(&secret).await;
    world.responses(&secret, ok).await;
}

#[tokio::test]
async fn a_users_own_token_opens_every_route_for_users() {
    let world = World::new().await;
    world.responses(&world.key.token("ada"), ok_to_users).await;
}

#[tokio::test]
async fn to_a_strangers_token_a_conversation_does_not_exist() {
    let world = World::new().await;
    let expected = |route: &str| match route {
        "GET /v1/config" => (200, None),
        "POST /v1/users" | "GET /v1/conversations" => (403, Some("user_id is not the caller")),
        "POST /v1/conversations" => (403, Some("caller must be a participant")),
        _ => (404, Some("conversation not found")),
    };
    world.responses(&world.key.token("eve"), expected).await;
    // A token belongs to the tenant of its kid, also if its role is a staff role.
    let other = TokenKey::new(&Chat::new().await).await;
    world.responses(&other.token("eve"), expected).await;
    world.responses(&other.token_as("sam", "admin"), expected).await;
}

#[tokio::test]
async fn staff_reach_every_conversation_as_themselves() {
    let world = World::new().await;
    for role in ["admin", "support"] {
        let token = world.key.token_as("sam", role);
        for (route, request) in &world.requests {
            let expected = match route.as_str() {
                "POST /v1/users" | "GET /v1/conversations" | "POST /v1/conversations/{id}/read" => {
                    json!("user_id is not the caller")
                }
                "POST /v1/conversations" => json!("caller must be a participant"),
                route if request.body.windows(9).any(|text| text == b"sender_id") => {
                    assert!(route.contains("{id}"));
                    json!("sender_id is not the caller")
                }
                _ => Value::Null,
            };
            assert_eq!(world.status(request, &token).await.1, expected, "{route}");
        }
    }
    for role in ["customer", "driver"] {
        let history = Request::get(world.chat.path("messages")).with_key(world.key.token_as("sam", role));
        world.chat.call(history).await.error(404, "conversation not found");
    }
}

#[tokio::test]
async fn an_expired_token_is_told_from_an_invalid_one_on_every_route() {
    let world = World::new().await;
    let mut old = claims("ada");
    old["exp"] = json!(now() - 61);
    world.refuse(&world.key.sign(&old), (401, "user token expired")).await;
    world.refuse(&TokenKey { kid: world.key.kid, secret: "other".into() }.sign(&old), INVALID).await;
}

#[tokio::test]
async fn a_minute_of_clock_skew_is_forgiven_and_a_day_is_the_longest_life() {
    let world = World::new().await;
    let config = Request::get("/v1/config");
    for (iat, exp, good) in
        [(50, 3600, true), (70, 3600, false), (0, -50, true), (0, 86_400, true), (0, 86_520, false)]
    {
        let time = |offset: i64| now().checked_add_signed(offset).unwrap();
        let token = world.key.sign(&json!({ "sub": "ada", "iat": time(iat), "exp": time(exp) }));
        let (status, error) = world.status(&config, &token).await;
        assert_eq!(status == 200, good, "iat {iat}, exp {exp}: {error}");
        assert!(good || error == INVALID.1, "{error}");
    }
}

#[tokio::test]
async fn forged_and_malformed_tokens_are_invalid_on_every_route() {
    let world = World::new().await;
    let other = TokenKey::new(&Chat::new().await).await;
    let good = world.key.token("ada");
    let (input, _) = good.rsplit_once('.').unwrap();
    let part = |value: Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let payload = part(claims("ada"));
    let unsigned = part(json!({ "alg": "none", "kid": world.key.kid }));
    let mut long = claims("ada");
    long["x"] = json!("x".repeat(4096));
    let tokens = [
        format!("{input}.{}", BASE64_URL_SAFE_NO_PAD.encode([0; 32])),
        format!("{input}."),
        format!("{unsigned}.{payload}."),
        format!("{unsigned}.{payload}.{}", BASE64_URL_SAFE_NO_PAD.encode([0; 32])),
        TokenKey { kid: Uuid::new_v4(), secret: world.key.secret.clone() }.token("ada"),
        TokenKey { kid: other.kid, secret: world.key.secret.clone() }.token("ada"),
        TokenKey { kid: world.key.kid, secret: other.secret.clone() }.token("ada"),
        TokenKey { kid: world.key.kid, secret: "0".into() }.token("ada"),
        world.key.sign(&long),
    ];
    for token in tokens {
        world.refuse(&token, INVALID).await;
    }
}

#[tokio::test]
async fn a_revoked_key_ends_its_tokens_and_no_others() {
    let world = World::new().await;
    let second = TokenKey::new(&world.chat).await;
    let revoke = "update tinychat.token_keys set revoked_at = now() where id = $1";
    world.chat.db.execute(revoke, &[&world.key.kid]).await.unwrap();
    world.refuse(&world.key.token("ada"), INVALID).await;
    world.responses(&second.token("ada"), ok_to_users).await;
}

#[tokio::test]
async fn a_users_revocation_ends_the_tokens_that_were_issued_before_it() {
    let world = World::new().await;
    let mut early = claims("ada");
    early["iat"] = json!(now() - 10);
    let early = world.key.sign(&early);
    world.responses(&early, ok_to_users).await;
    let revoke = "insert into tinychat.token_revocations values ($1, 'ada', now() - interval '5 s')";
    world.chat.db.execute(revoke, &[&world.chat.tenant]).await.unwrap();
    world.refuse(&early, INVALID).await;
    world.responses(&world.key.token("ada"), ok_to_users).await;
}

#[tokio::test]
async fn where_tokens_are_required_a_publishable_key_opens_the_configuration_alone() {
    let world = World::new().await;
    world.chat.require_tokens().await;
    let expected = |route: &str| match route {
        "GET /v1/config" => (200, None),
        _ => (401, Some("user token required")),
    };
    world.responses(&world.chat.key, expected).await;
    world.responses(&world.key.token("ada"), ok_to_users).await;
    let secret = secret_key();
    world.chat.add_secret_key(&secret).await;
    world.responses(&secret, ok).await;
    let bad = Request::post("/v1/users", &json!({}));
    world.chat.call(bad).await.error(401, "user token required");
}

#[tokio::test]
async fn a_token_speaks_for_its_user_where_the_request_names_none() {
    let world = World::new().await;
    let token = world.key.token("bob");
    let call = async |request: Request| world.chat.call(request.with_key(&token)).await.ok();
    let sent = call(Request::post(world.chat.path("messages"), &json!({ "body": "hi" }))).await;
    assert_eq!(sent["message"]["sender_id"], "bob");
    let id = sent["message"]["id"].as_str().unwrap();
    let path = world.chat.path(&format!("messages/{id}"));
    let edited = call(Request::patch(&path, &json!({ "body": "hi!" }))).await;
    assert_eq!(edited["message"]["body"], "hi!");
    call(Request::post(world.chat.path("typing"), &json!({}))).await;
    let read = call(Request::post(world.chat.path("read"), &json!({}))).await;
    assert_eq!(read["read"]["user_id"], "bob");
    assert_eq!(
        call(Request::get("/v1/conversations")).await["conversations"][0]["id"],
        world.chat.conversation
    );
    let user = call(Request::post("/v1/users", &json!({ "role": "admin" }))).await;
    assert_eq!((&user["user"]["user_id"], &user["user"]["role"]), (&json!("bob"), &json!("customer")));
    let driver = world.key.token_as("bob", "driver");
    let user = world.chat.call(Request::post("/v1/users", &json!({})).with_key(&driver)).await.ok();
    assert_eq!(user["user"]["role"], "driver");
    let deleted = call(Request::delete(&path, &json!({}))).await;
    assert!(deleted["message"]["deleted_at"].is_string());
}

#[tokio::test]
async fn nobody_else_can_be_named_beside_a_token() {
    let world = World::new().await;
    let token = world.key.token("bob");
    let refused = async |request: Request, error: &str| {
        world.chat.refuses(request.with_key(&token), 403, error).await;
    };
    let sender = "sender_id is not the caller";
    let as_ada = json!({ "sender_id": "ada", "body": "forged" });
    refused(Request::post(world.chat.path("messages"), &as_ada), sender).await;
    refused(Request::patch(world.chat.message_path(), &as_ada), sender).await;
    refused(Request::delete(world.chat.message_path(), &as_ada), sender).await;
    refused(Request::post(world.chat.path("typing"), &as_ada), sender).await;
    let own = json!({ "sender_id": "bob", "body": "forged" });
    refused(Request::patch(world.chat.message_path(), &own), "only the sender may change this message").await;
    refused(Request::get("/v1/conversations?user_id=ada"), "user_id is not the caller").await;
    refused(Request::post("/v1/users", &json!({ "user_id": "ada" })), "user_id is not the caller").await;
    let read = Request::post(world.chat.path("read"), &json!({ "user_id": "ada" }));
    refused(read, "user_id is not the caller").await;
}

#[tokio::test]
async fn a_conversation_is_created_and_found_by_its_participants_only() {
    let world = World::new().await;
    let create = async |token: &str, participants: &[&str]| {
        let body = json!({ "kind": "order", "external_ref": "order_7", "participants": participants });
        world.chat.call(Request::post("/v1/conversations", &body).with_key(token)).await
    };
    let [ada, eve] = ["ada", "eve"].map(|user| world.key.token(user));
    create(&eve, &["ada", "bob"]).await.error(403, "caller must be a participant");
    let made = create(&ada, &["ada", "bob"]).await.ok();
    assert_eq!(create(&ada, &["bob"]).await.ok(), made);
    create(&eve, &["eve"]).await.error(404, "conversation not found");
    create(&eve, &["ada"]).await.error(404, "conversation not found");
    assert_eq!(create(&world.key.token_as("sam", "support"), &["sam"]).await.ok(), made);
    assert_eq!(create(&world.chat.key, &["zoe"]).await.ok(), made);
    let direct = json!({ "kind": "direct", "participants": ["ada", "bob"] });
    world
        .chat
        .refuses(
            Request::post("/v1/conversations", &direct).with_key(&eve),
            403,
            "caller must be a participant",
        )
        .await;
}

/// `jsonwebtoken` decides which tokens are valid, together with the rules that only this API has.
#[tokio::test]
async fn a_jwt_library_accepts_the_same_tokens() {
    let world = World::new().await;
    let mut rng = fastrand::Rng::with_seed(14);
    let config = Request::get("/v1/config");
    let mut accepted = 0;
    for round in 0..400 {
        let token = random_token(&world.key, &mut rng);
        let judged = judge(&token, &world.key);
        let (status, error) = world.status(&config, &token).await;
        assert_eq!(status == 200, judged, "{round}: {error}: {token}");
        accepted += usize::from(judged);
    }
    assert!((40..360).contains(&accepted), "{accepted} of 400 accepted");
}

/// Makes a token with up to two unusual properties. Its times aren't close to a limit, because limits move during the request.
fn random_token(key: &TokenKey, rng: &mut fastrand::Rng) -> String {
    let mut header = json!({ "alg": "HS256", "typ": "JWT", "kid": key.kid });
    let mut claims = claims("ada");
    let mut secret = key.secret.clone();
    let mut spoil = None;
    for _ in 0..rng.usize(0..3) {
        match rng.u8(0..7) {
            0 => {
                let offset = *rng.choice(&[-4000, -120, -30, 30, 86_300, 86_700, 1 << 40]).unwrap();
                claims["exp"] = json!(now().saturating_add_signed(offset));
            }
            1 => {
                claims["iat"] =
                    json!(now().saturating_add_signed(*rng.choice(&[-1 << 40, -100_000, 30, 120]).unwrap()));
            }
            2 => {
                let odd = [json!("1"), Value::Null, json!(1.5e9), json!(-5), json!(true), json!(1.5e9 + 0.5)];
                claims[*rng.choice(&["exp", "iat"]).unwrap()] = rng.choice(odd).unwrap();
            }
            3 => {
                let odd = [
                    json!(""),
                    json!("é".repeat(255)),
                    json!("é".repeat(256)),
                    json!(7),
                    Value::Null,
                    json!("a\0b"),
                ];
                claims["sub"] = rng.choice(odd).unwrap();
            }
            4 => {
                let odd = [
                    json!("driver"),
                    json!("support"),
                    json!("Admin"),
                    Value::Null,
                    json!(["admin"]),
                    json!(""),
                ];
                claims["role"] = rng.choice(odd).unwrap();
            }
            5 => {
                let odd = [
                    ("alg", json!("none")),
                    ("alg", json!("HS384")),
                    ("alg", json!("RS256")),
                    ("alg", Value::Null),
                    ("kid", json!(Uuid::new_v4())),
                    ("kid", json!("1")),
                    ("kid", Value::Null),
                    ("typ", json!("at+jwt")),
                    ("crit", json!(["exp"])),
                    ("x", json!({ "more": [1, 2] })),
                ];
                let (name, value) = rng.choice(odd).unwrap();
                header[name] = value;
            }
            _ => spoil = Some(rng.u8(0..6)),
        }
    }
    if spoil == Some(0) {
        secret.push('x');
    }
    let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let input = format!("{}.{}", part(&header), part(&claims));
    let signature =
        sign(input.as_bytes(), &EncodingKey::from_secret(secret.as_bytes()).unwrap(), Algorithm::HS256)
            .unwrap();
    let mut token = format!("{input}.{signature}");
    match spoil {
        Some(1) => token.push('='),
        Some(2) => token.truncate(token.len() - 1),
        Some(3) => token = token.replacen('.', "..", 1),
        Some(4) => {
            let at = rng.usize(0..token.len());
            token.replace_range(at..=at, rng.choice(&["A", "b", "-", "."]).unwrap());
        }
        _ => {}
    }
    token
}

fn judge(token: &str, key: &TokenKey) -> bool {
    let mut validation = Validation::new(Algorithm::HS256);
    validation.leeway = 60;
    validation.set_required_spec_claims(&["exp", "sub"]);
    let decoding = DecodingKey::from_secret(key.secret.as_bytes()).unwrap();
    let Ok(decoded) = jsonwebtoken::decode::<Value>(token, &decoding, &validation) else { return false };
    let claims = decoded.claims;
    let time = |name: &str| claims[name].as_f64().filter(|time| *time >= 0.0);
    #[expect(clippy::cast_precision_loss, reason = "seconds since 1970")]
    let now = now() as f64;
    token.len() <= 4096
        && decoded.header.kid.is_some_and(|kid| Uuid::try_parse(&kid) == Ok(key.kid))
        && claims["sub"]
            .as_str()
            .is_some_and(|sub| (1..=255).contains(&sub.chars().count()) && !sub.contains('\0'))
        && time("iat").is_some_and(|iat| iat <= now + 60.0)
        && time("exp").is_some_and(|exp| exp <= now + 86_460.0)
        && (claims["role"].is_null()
            || ["customer", "driver", "admin", "support"].iter().any(|role| claims["role"] == *role))
}
