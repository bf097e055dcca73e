//! A tenant's key for signing user tokens, which a JWT library of other people's making signs here.

use super::Chat;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};
use std::time::SystemTime;
use uuid::Uuid;

pub struct TokenKey {
    pub kid: Uuid,
    pub secret: String,
}

impl TokenKey {
    /// A new key of the chat's tenant, written straight into Postgres.
    pub async fn new(chat: &Chat) -> Self {
        let key = Self { kid: Uuid::new_v4(), secret: Uuid::new_v4().to_string() };
        let pad = |with: u8| {
            let mut block = key.secret.clone().into_bytes();
            block.resize(64, 0);
            block.iter().map(|byte| byte ^ with).collect::<Vec<_>>()
        };
        let sql =
            "insert into tinychat.token_keys (id, tenant_id, inner_pad, outer_pad) values ($1, $2, $3, $4)";
        chat.db.execute(sql, &[&key.kid, &chat.tenant, &pad(0x36), &pad(0x5c)]).await.unwrap();
        key
    }

    /// A user's token, good for an hour.
    pub fn token(&self, user: &str) -> String {
        self.sign(&claims(user))
    }

    /// The same with a role.
    pub fn token_as(&self, user: &str, role: &str) -> String {
        let mut claims = claims(user);
        claims["role"] = json!(role);
        self.sign(&claims)
    }

    pub fn sign(&self, claims: &Value) -> String {
        let header = Header { kid: Some(self.kid.to_string()), ..Header::new(Algorithm::HS256) };
        encode(&header, claims, &EncodingKey::from_secret(self.secret.as_bytes()).unwrap()).unwrap()
    }
}

/// The claims of a token that is good for an hour.
pub fn claims(user: &str) -> Value {
    let now = now();
    json!({ "sub": user, "iat": now, "exp": now + 3600 })
}

/// Seconds since 1970.
pub fn now() -> u64 {
    SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs()
}
