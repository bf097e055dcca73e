//! Authorization of listeners on private channels. A JWT identifies the caller, and the policies on `realtime.messages`
//! decide. Postgres evaluates them, as with the real server.

use crate::postgres;
use crate::supabase::keys::{JWT_SECRET, Keys, REALTIME_JWT_KEY};
use anyhow::Context;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde_json::Value;
use std::time::{Duration, SystemTime};

/// The parts of a Supabase project's database that policies on private channels refer to.
pub(crate) const SCHEMA: &str = include_str!("schema.sql");

/// The project's keys and its database.
pub(crate) struct Authorization {
    pub(super) keys: Keys,
    /// Whether the project has private channels only.
    pub(super) private_only: bool,
    database_url: String,
    secret: DecodingKey,
    /// The id and the public half of the signing key.
    signing_key: (String, DecodingKey),
}

/// A caller, as described by its JWT.
pub(super) struct Caller {
    pub(super) role: String,
    claims: Value,
    pub(super) expires: SystemTime,
}

impl Authorization {
    pub(crate) fn new(keys: Keys, database_url: String, private_only: bool) -> anyhow::Result<Self> {
        let jwk: Jwk = serde_json::from_str(REALTIME_JWT_KEY)?;
        let kid = jwk.common.key_id.clone().context("the signing key has no kid")?;
        let signing_key = (kid, DecodingKey::from_jwk(&jwk)?);
        let secret = DecodingKey::from_secret(JWT_SECRET.as_bytes())?;
        Ok(Self { keys, private_only, database_url, secret, signing_key })
    }

    /// Verifies a JWT. It is signed by the project's secret with HS256, or by a signing key that its `kid` names.
    pub(super) fn caller(&self, token: &str) -> Result<Caller, String> {
        let invalid = |why: &dyn std::fmt::Display| format!("InvalidJWTToken: {why}");
        let header = decode_header(token).map_err(|error| invalid(&error))?;
        let key = match (header.alg, header.kid) {
            (Algorithm::HS256, _) => &self.secret,
            (Algorithm::ES256, Some(kid)) if kid == self.signing_key.0 => &self.signing_key.1,
            _ => return Err(invalid(&"no key for its algorithm and kid")),
        };
        let mut validation = Validation::new(header.alg);
        validation.leeway = 0;
        validation.validate_aud = false;
        let claims = decode::<Value>(token, key, &validation).map_err(|error| invalid(&error))?.claims;
        let role = claims.get("role").and_then(Value::as_str).map(str::to_owned);
        let end = claims.get("exp").and_then(Value::as_u64);
        let (Some(role), Some(end)) = (role, end) else {
            return Err(invalid(&"Fields `role` and `exp` are required in JWT"));
        };
        Ok(Caller { role, claims, expires: SystemTime::UNIX_EPOCH + Duration::from_secs(end) })
    }

    /// Whether the policies let the caller read broadcasts on a topic. A row is inserted for the test, and the policies decide
    /// whether the caller sees it.
    pub(super) async fn may_read(&self, caller: &Caller, topic: &str) -> Result<bool, tokio_postgres::Error> {
        let mut client = postgres::connect(&self.database_url).await?;
        let transaction = client.transaction().await?;
        let insert = "insert into realtime.messages (topic, extension) values ($1, 'broadcast')";
        transaction.execute(insert, &[&topic]).await?;
        let claims = caller.claims.to_string();
        transaction.query_one(include_str!("caller.sql"), &[&caller.role, &topic, &claims]).await?;
        let seen = transaction.query("select from realtime.messages where topic = $1", &[&topic]).await?;
        transaction.rollback().await?;
        Ok(!seen.is_empty())
    }
}
