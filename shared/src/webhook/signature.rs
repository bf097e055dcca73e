//! Signatures after the Standard Webhooks specification, version 1: HMAC-SHA256 over id, time and payload.

use base64::prelude::{BASE64_STANDARD, Engine};
use hmac::{Hmac, KeyInit, Mac};
use reqwest::header::{HeaderValue, InvalidHeaderValue};
use sha2::Sha256;
use std::str::FromStr;

/// An endpoint's signing secret. Its text form is `whsec_` and base64.
pub struct Secret(Hmac<Sha256>);

/// The error for a text that isn't a secret. It doesn't contain the text.
#[derive(Debug, thiserror::Error)]
#[error("the endpoint's secret is not whsec_ and base64")]
pub struct InvalidSecret;

impl FromStr for Secret {
    type Err = InvalidSecret;

    fn from_str(text: &str) -> Result<Self, InvalidSecret> {
        let key = text.strip_prefix("whsec_").ok_or(InvalidSecret)?;
        let key = BASE64_STANDARD.decode(key).map_err(|_| InvalidSecret)?;
        Hmac::new_from_slice(&key).map(Self).map_err(|_| InvalidSecret)
    }
}

impl Secret {
    fn sign(&self, id: &str, timestamp: u64, payload: &str) -> String {
        let content = format!("{id}.{timestamp}.{payload}");
        let mac = self.0.clone().chain_update(content).finalize();
        format!("v1,{}", BASE64_STANDARD.encode(mac.into_bytes()))
    }
}

/// The `webhook-signature` header, with a signature by each secret, so that receivers can change secrets while both are
/// valid.
pub(super) fn header(
    secrets: &[Secret],
    id: &str,
    timestamp: u64,
    payload: &str,
) -> Result<HeaderValue, InvalidHeaderValue> {
    let signatures: Vec<_> = secrets.iter().map(|secret| secret.sign(id, timestamp, payload)).collect();
    HeaderValue::try_from(signatures.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

    /// Computed with OpenSSL: `printf 'msg_1.1614265330.{"a":1}' | openssl dgst -sha256 -mac HMAC -macopt hexkey:… -binary | base64`
    #[test]
    fn a_signature_is_that_of_openssl() {
        let secret: Secret = SECRET.parse().unwrap();
        assert_eq!(
            secret.sign("msg_1", 1_614_265_330, r#"{"a":1}"#),
            "v1,IDLFVjTQ4k1bnOJuLOLzmrDX3kZJl7x+Kb+3wS3ynZ4="
        );
    }

    #[test]
    fn while_a_secret_rotates_both_sign() {
        let secrets = [SECRET.parse().unwrap(), "whsec_AAAA".parse().unwrap()];
        let header = header(&secrets, "id", 1, "{}").unwrap();
        let signatures: Vec<_> = header.to_str().unwrap().split(' ').collect();
        assert_eq!(signatures, [secrets[0].sign("id", 1, "{}"), secrets[1].sign("id", 1, "{}")]);
        assert_ne!(signatures[0], signatures[1]);
    }

    #[test]
    fn other_texts_are_no_secrets() {
        for text in ["", "C2FVsBQIhrscChlQIMV+b5sSYspob7oD", "whsec_?", "whsec_C2FVsBQ"] {
            assert!(text.parse::<Secret>().is_err(), "{text}");
        }
    }
}
