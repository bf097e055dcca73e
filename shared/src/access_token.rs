//! Access tokens for Supabase Realtime: short-lived JSON Web Tokens that let one user listen to its own conversations.

use crate::config::{self, SettingError};
use crate::model::{TenantId, Timestamp};
use crate::{Error, Result};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use ring::{error::Unspecified, hmac};
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::{Duration, SystemTime};

/// The longest lifetime of an access token.
const LIFE: Duration = Duration::from_hours(1);

/// The key that signs access tokens. Supabase Realtime must know it too.
pub struct Signer(Key);

enum Key {
    /// ES256, with a key that was imported into the project's signing keys under this id.
    Es256 { kid: String, pair: EcdsaKeyPair },
    /// HS256, with the project's legacy JWT secret.
    Hs256(hmac::Key),
}

/// The listener that a token is for.
pub struct Listener<'a> {
    /// The user's tenant.
    pub tenant: TenantId,
    /// The user's `user_id`.
    pub user: &'a str,
    /// Whether the user may listen to all conversations of the tenant.
    pub staff: bool,
}

/// A private ES256 key as a JSON Web Key (RFC 7517).
#[derive(Deserialize)]
struct Jwk {
    kid: String,
    crv: String,
    x: String,
    y: String,
    d: String,
}

impl Signer {
    /// Reads `REALTIME_JWT_KEY`: an ES256 key as a JWK with a `kid`, or the legacy secret. `None` where it isn't set.
    pub fn from_env() -> Result<Option<Self>, SettingError> {
        const NAME: &str = "REALTIME_JWT_KEY";
        let Some(text) = config::optional(NAME) else {
            return Ok(None);
        };
        if !text.trim_start().starts_with('{') {
            let key = hmac::Key::new(hmac::HMAC_SHA256, text.trim().as_bytes());
            return Ok(Some(Self(Key::Hs256(key))));
        }
        es256(&text).map(|key| Some(Self(key))).ok_or(SettingError::new(
            NAME,
            "a private ES256 key as a JWK with kid, crv, x, y and d, or the project's legacy JWT secret",
        ))
    }

    /// Signs an access token that is valid for an hour, or until `limit` if that is earlier. Returns the token and its
    /// expiry.
    pub fn sign(&self, listener: &Listener<'_>, limit: SystemTime) -> Result<(String, Timestamp)> {
        let now = SystemTime::now();
        let end = limit.min(now + LIFE);
        let seconds =
            |time: SystemTime| time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        let header = match &self.0 {
            Key::Es256 { kid, .. } => json!({ "alg": "ES256", "typ": "JWT", "kid": kid }),
            Key::Hs256(_) => json!({ "alg": "HS256", "typ": "JWT" }),
        };
        let claims = json!({
            "role": "authenticated",
            "iat": seconds(now),
            "exp": seconds(end),
            "tinychat": { "tenant": listener.tenant, "user": listener.user, "staff": listener.staff },
        });
        let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
        let input = format!("{}.{}", part(&header), part(&claims));
        let signature = self.signature(input.as_bytes()).map_err(|_| Error::Panic)?;
        let end = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds(end));
        Ok((format!("{input}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature)), end.into()))
    }

    /// Returns a signer with a random key under the same id, whose tokens Realtime must refuse.
    pub fn stranger(&self) -> Result<Self> {
        let random = SystemRandom::new();
        let key = match &self.0 {
            Key::Es256 { kid, .. } => {
                let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random)
                    .map_err(|_| Error::Panic)?;
                let pair =
                    EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref(), &random)
                        .map_err(|_| Error::Panic)?;
                Key::Es256 { kid: kid.clone(), pair }
            }
            Key::Hs256(_) => {
                Key::Hs256(hmac::Key::generate(hmac::HMAC_SHA256, &random).map_err(|_| Error::Panic)?)
            }
        };
        Ok(Self(key))
    }

    fn signature(&self, input: &[u8]) -> Result<Vec<u8>, Unspecified> {
        match &self.0 {
            Key::Es256 { pair, .. } => Ok(pair.sign(&SystemRandom::new(), input)?.as_ref().to_vec()),
            Key::Hs256(key) => Ok(hmac::sign(key, input).as_ref().to_vec()),
        }
    }
}

fn es256(jwk: &str) -> Option<Key> {
    let jwk: Jwk =
        serde_json::from_str(jwk).ok().filter(|jwk: &Jwk| jwk.crv == "P-256" && !jwk.kid.is_empty())?;
    let [x, y, d] = [&jwk.x, &jwk.y, &jwk.d].map(|text| BASE64_URL_SAFE_NO_PAD.decode(text).ok());
    let point = [vec![4], x?, y?].concat(); // uncompressed
    let random = SystemRandom::new();
    let pair =
        EcdsaKeyPair::from_private_key_and_public_key(&ECDSA_P256_SHA256_FIXED_SIGNING, &d?, &point, &random);
    Some(Key::Es256 { kid: jwk.kid, pair: pair.ok()? })
}
