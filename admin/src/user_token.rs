//! User tokens, and the keys that sign them.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use std::time::SystemTime;
use uuid::Uuid;

/// HMAC's block size for SHA-256, in bytes. A secret is no longer than this.
pub const BLOCK: usize = 64;

/// Returns the inner and the outer pad of an HMAC key (RFC 2104) that is no longer than a block.
pub fn pads(secret: &str) -> [Vec<u8>; 2] {
    [0x36, 0x5c].map(|pad| {
        let mut block = secret.as_bytes().to_vec();
        block.resize(BLOCK, 0);
        block.iter().map(|byte| byte ^ pad).collect()
    })
}

/// Signs a token that is valid for this many seconds.
pub fn sign(kid: Uuid, secret: &str, user: &str, role: Option<&str>, seconds: u64) -> anyhow::Result<String> {
    let now = SystemTime::UNIX_EPOCH.elapsed()?.as_secs();
    let claims = json!({ "sub": user, "role": role, "iat": now, "exp": now + seconds });
    let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let input = format!("{}.{}", part(&json!({ "alg": "HS256", "typ": "JWT", "kid": kid })), part(&claims));
    let mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes())?.chain_update(&input).finalize();
    Ok(format!("{input}.{}", BASE64_URL_SAFE_NO_PAD.encode(mac.into_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sha2::Digest;

    #[test]
    fn the_pads_make_the_hmac_of_rfc_4231() {
        // Test case 2.
        let [inner, outer] = pads("Jefe");
        let inside =
            Sha256::new().chain_update(inner).chain_update("what do ya want for nothing?").finalize();
        let mac = Sha256::new().chain_update(outer).chain_update(inside).finalize();
        assert_eq!(mac[..4], [0x5b, 0xdc, 0xc1, 0x46]);
        assert_eq!(mac[28..], [0x64, 0xec, 0x38, 0x43]);
    }
}
