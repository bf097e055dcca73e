//! Credentials: the values that the `x-tinychat-api-key` header may hold. Only their form is checked here. The route's
//! function verifies them and finds their owners (`tinychat.check_access`).

use crate::fields::{Fields, ShortText};
use crate::model::Role;
use crate::{Error, Result};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use postgres_types::{Json, ToSql};
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt::Write;
use std::time::{Duration, SystemTime};
use uuid::Uuid;

/// The longest token, in bytes.
const MAX_TOKEN: usize = 4096;

/// The latest time in a token, in seconds since 1970: the end of the year 9999.
const MAX_TIME: f64 = 253_402_300_799.0;

/// A credential of the right form, as `tinychat.check_access` takes it.
#[derive(Debug, ToSql)]
#[postgres(transparent)]
pub struct Credential(Json<Form>);

#[derive(Debug, PartialEq, Serialize)]
#[serde(untagged)]
enum Form {
    /// A publishable or secret key, known by its hash.
    Key {
        hash: String,
        #[serde(skip)]
        kind: CredentialKind,
    },
    /// A user token: a JSON Web Token (RFC 7519) with an HMAC-SHA-256 over its first two parts.
    Token {
        kid: Uuid,
        input: String,
        signature: String,
        #[serde(flatten)]
        claims: Claims,
    },
}

/// The kind of a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CredentialKind {
    /// `pk_live_…` or `pk_test_…`, for apps.
    Publishable,
    /// `sk_live_…` or `sk_test_…`, for a tenant's backend.
    Secret,
    /// A token of one user.
    Token,
}

impl CredentialKind {
    /// The kind's name in logs and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Publishable => "publishable",
            Self::Secret => "secret",
            Self::Token => "token",
        }
    }
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Uuid,
    /// Extensions that a recipient must understand (RFC 7515, 4.1.11). None is supported.
    crit: Option<IgnoredAny>,
}

/// A token's claims. Times are in seconds since 1970.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Claims {
    sub: String,
    role: Option<Role>,
    iat: f64,
    exp: f64,
}

impl Credential {
    /// Parses the header's text: a key, or a token, which has dots in it.
    ///
    /// # Errors
    /// [`Error::InvalidKey`] or [`Error::InvalidToken`] for a text of neither form.
    pub fn parse(text: &str) -> Result<Self> {
        let form = if text.contains('.') { token(text) } else { key(text) };
        form.map(|form| Self(Json(form)))
    }

    /// The credential's kind, by its form.
    pub fn kind(&self) -> CredentialKind {
        match &self.0.0 {
            Form::Key { kind, .. } => *kind,
            Form::Token { .. } => CredentialKind::Token,
        }
    }

    /// Takes the field that names the user the request acts as. With a user token it may be missing, because the token
    /// names its user. The route's function checks that the two agree.
    pub fn user(&self, fields: &mut Fields, name: &'static str) -> Result<Option<ShortText>> {
        match self.kind() {
            CredentialKind::Token => fields.optional_text(name),
            CredentialKind::Publishable | CredentialKind::Secret => fields.required(name).map(Some),
        }
    }

    /// The expiry that a token claims. `None` for a key.
    pub fn expires(&self) -> Option<SystemTime> {
        match &self.0.0 {
            Form::Token { claims, .. } => Some(SystemTime::UNIX_EPOCH + Duration::from_secs_f64(claims.exp)),
            Form::Key { .. } => None,
        }
    }
}

/// Returns the kind and the SHA-256 of a well-formed key. The key itself is never stored.
///
/// # Errors
/// [`Error::InvalidKey`] unless the text is `pk_live_`, `pk_test_`, `sk_live_` or `sk_test_`, followed by at least 24
/// letters or digits.
pub fn key_hash(key: &str) -> Result<(CredentialKind, Vec<u8>)> {
    let (kind, rest) = match key.split_at_checked(3) {
        Some(("pk_", rest)) => (CredentialKind::Publishable, rest),
        Some(("sk_", rest)) => (CredentialKind::Secret, rest),
        _ => return Err(Error::InvalidKey),
    };
    let secret =
        rest.strip_prefix("live_").or_else(|| rest.strip_prefix("test_")).ok_or(Error::InvalidKey)?;
    if secret.len() < 24 || !secret.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err(Error::InvalidKey);
    }
    Ok((kind, Sha256::digest(key).to_vec()))
}

fn key(text: &str) -> Result<Form> {
    let (kind, hash) = key_hash(text)?;
    Ok(Form::Key { hash: hex(&hash), kind })
}

fn token(text: &str) -> Result<Form> {
    parse_token(text).ok_or(Error::InvalidToken)
}

fn parse_token(text: &str) -> Option<Form> {
    let (input, signature) = text.rsplit_once('.').filter(|_| text.len() <= MAX_TOKEN)?;
    let (header, claims) = input.split_once('.')?;
    let header: Header = part(header)?;
    let claims: Claims = part(claims)?;
    let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).ok()?;
    let sound = header.alg == "HS256"
        && header.crit.is_none()
        && signature.len() == 32
        && !claims.sub.is_empty()
        && claims.sub.chars().nth(255).is_none()
        && !claims.sub.contains('\0')
        && [claims.iat, claims.exp].iter().all(|time| (0.0..=MAX_TIME).contains(time));
    sound.then(|| Form::Token {
        kid: header.kid,
        input: input.to_owned(),
        signature: hex(&signature),
        claims,
    })
}

fn part<T: DeserializeOwned>(text: &str) -> Option<T> {
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(text).ok()?).ok()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        let _never_fails = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    #[test]
    fn a_key_is_known_by_its_sha256() {
        let credential = Credential::parse("pk_test_DemoTenantOnlyForLocalUse01").unwrap();
        let sent = serde_json::to_value(&credential.0.0).unwrap();
        assert!(sent["hash"].as_str().unwrap().starts_with("31c4e87d"), "{sent}");
        assert_eq!(sent.as_object().unwrap().len(), 1);
    }

    #[test]
    fn a_key_has_one_of_four_prefixes() {
        let kind = |text| Credential::parse(text).map(|credential| credential.kind());
        assert_eq!(kind("pk_live_abcdefghijklmnopqrstuvwx").unwrap(), CredentialKind::Publishable);
        assert_eq!(kind("sk_test_abcdefghijklmnopqrstuvwx").unwrap(), CredentialKind::Secret);
        for text in [
            "",
            "pk_live_",
            "pk_live_short",
            "pk_live_abcdefghijklmnopqrstuvw",
            "ak_live_abcdefghijklmnopqrstuvwx",
            "sk_prod_abcdefghijklmnopqrstuvwx",
            "PK_LIVE_abcdefghijklmnopqrstuvwx",
            "pké_live_abcdefghijklmnopqrstuvwx",
        ] {
            assert!(matches!(kind(text), Err(Error::InvalidKey)), "{text}");
        }
    }

    /// A token of this header and these claims, with 32 bytes for a signature.
    fn token_of(header: &Value, claims: &Value) -> String {
        let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
        format!("{}.{}.{}", part(header), part(claims), BASE64_URL_SAFE_NO_PAD.encode([7; 32]))
    }

    fn header() -> Value {
        json!({ "alg": "HS256", "typ": "JWT", "kid": "01990000-0000-7000-8000-000000000001" })
    }

    fn claims() -> Value {
        json!({ "sub": "ada", "iat": 1_768_472_000, "exp": 1_768_472_469.5, "role": "driver", "more": [1] })
    }

    #[test]
    fn a_token_goes_to_postgres_in_its_parts() {
        let text = token_of(&header(), &claims());
        let credential = Credential::parse(&text).unwrap();
        assert_eq!(credential.kind(), CredentialKind::Token);
        let sent = serde_json::to_value(&credential.0.0).unwrap();
        assert_eq!(
            sent,
            json!({
                "kid": "01990000-0000-7000-8000-000000000001",
                "input": text.rsplit_once('.').unwrap().0,
                "signature": "07".repeat(32),
                "sub": "ada", "role": "driver", "iat": 1_768_472_000.0, "exp": 1_768_472_469.5,
            })
        );
    }

    #[test]
    fn a_token_with_anything_wrong_in_it_is_invalid() {
        let with = |mut value: Value, name: &str, other: Value| {
            value[name] = other;
            value
        };
        let headers = [
            ("alg", json!("none")),
            ("alg", json!("hs256")),
            ("alg", json!("RS256")),
            ("alg", Value::Null),
            ("kid", json!("key-1")),
            ("kid", Value::Null),
            ("crit", json!(["exp"])),
        ];
        let payloads = [
            ("sub", json!("")),
            ("sub", json!(7)),
            ("sub", Value::Null),
            ("sub", json!("x".repeat(256))),
            ("sub", json!("a\0")),
            ("exp", Value::Null),
            ("exp", json!("1768472469")),
            ("exp", json!(1e300)),
            ("exp", json!(-1)),
            ("iat", Value::Null),
            ("iat", json!(true)),
            ("role", json!("owner")),
            ("role", json!(["admin"])),
        ];
        let bad = headers.into_iter().map(|(name, other)| token_of(&with(header(), name, other), &claims()));
        let bad = bad.chain(
            payloads.into_iter().map(|(name, other)| token_of(&header(), &with(claims(), name, other))),
        );
        let good = token_of(&header(), &claims());
        let (input, signature) = good.rsplit_once('.').unwrap();
        let forms = [
            format!("{good}="),
            format!("{good}A"),
            format!("{good}.x"),
            format!("{input}."),
            input.to_owned(),
            format!(".{good}"),
            format!("{input}.{}", &signature[1..]),
            format!(" {good}"),
            ".".into(),
            "..".into(),
        ];
        for text in bad.chain(forms) {
            assert!(matches!(Credential::parse(&text), Err(Error::InvalidToken)), "{text}");
        }
        assert!(Credential::parse(&good).is_ok());
    }

    #[test]
    fn a_token_has_at_most_4_kib() {
        let token = |padding: usize| {
            token_of(&header(), &json!({ "sub": "ada", "iat": 1, "exp": 2, "x": "x".repeat(padding) }))
        };
        let longest = (2_000..4_000).rev().map(token).find(|text| text.len() <= MAX_TOKEN).unwrap();
        assert!(longest.len() > MAX_TOKEN - 4 && Credential::parse(&longest).is_ok());
        let padding = (2_000..4_000).find(|padding| token(*padding).len() > MAX_TOKEN).unwrap();
        assert!(Credential::parse(&token(padding)).is_err());
    }

    proptest! {
        #[test]
        fn every_key_of_the_form_is_taken(key in "[ps]k_(live|test)_[A-Za-z0-9]{24,64}") {
            prop_assert!(Credential::parse(&key).is_ok());
        }

        #[test]
        fn one_foreign_character_spoils_a_key(
            start in "pk_(live|test)_[A-Za-z0-9]{0,30}", foreign in "[^A-Za-z0-9]", end in "[A-Za-z0-9]{24,30}"
        ) {
            let key = format!("{start}{foreign}{end}");
            prop_assert!(Credential::parse(&key).is_err());
        }

        #[test]
        fn no_text_makes_the_parser_panic(text: String) {
            let _ = Credential::parse(&text);
        }
    }
}
