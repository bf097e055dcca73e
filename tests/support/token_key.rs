//! A tenant's key for user tokens. A public JWT library signs the tokens.

use crate::Chat;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};
use std::time::SystemTime;
use uuid::Uuid;

/// A token key.
pub struct TokenKey {
    /// Its id, for the header `kid`.
    pub kid: Uuid,
    /// Its secret.
    pub secret: String,
}

impl TokenKey {
    /// Creates a key of the chat's tenant, directly in Postgres.
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

    /// Returns a user's token, which is valid for an hour.
    pub fn token(&self, user: &str) -> String {
        self.sign(&claims(user))
    }

    /// Returns a user's token with a role.
    pub fn token_as(&self, user: &str, role: &str) -> String {
        let mut claims = claims(user);
        claims["role"] = json!(role);
        self.sign(&claims)
    }

    /// Signs a token with these claims.
    pub fn sign(&self, claims: &Value) -> String {
        let header = Header { kid: Some(self.kid.to_string()), ..Header::new(Algorithm::HS256) };
        encode(&header, claims, &EncodingKey::from_secret(self.secret.as_bytes()).unwrap()).unwrap()
    }
}

/// Returns the claims of a token that is valid for an hour.
pub fn claims(user: &str) -> Value {
    let now = now();
    json!({ "sub": user, "iat": now, "exp": now + 3600 })
}

/// Returns the seconds since 1970.
pub fn now() -> u64 {
    SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs()
}
