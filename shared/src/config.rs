//! Settings from the environment. If one is missing or invalid, the function stops at start-up with a
//! [`SettingError`].

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::Deserialize;
use std::{env, fmt};

/// A setting that is missing, or whose value can't be used. The text doesn't contain the value, which may be a secret.
#[derive(thiserror::Error)]
pub struct SettingError {
    name: &'static str,
    accepted: &'static str,
    cause: Option<String>,
}

impl SettingError {
    /// An error whose text says that the setting `name` must be `accepted`.
    pub fn new(name: &'static str, accepted: &'static str) -> Self {
        Self { name, accepted, cause: None }
    }

    /// Adds the reason why the value can't be used.
    #[must_use]
    pub fn because(self, cause: impl fmt::Display) -> Self {
        Self { cause: Some(cause.to_string()), ..self }
    }

    /// The reason why the value can't be used, where it is more than that the value isn't accepted.
    pub fn cause(&self) -> Option<&str> {
        self.cause.as_deref()
    }
}

impl fmt::Display for SettingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} must be {}", self.name, self.accepted)?;
        self.cause.iter().try_for_each(|cause| write!(f, ": {cause}"))
    }
}

/// The same text, because a `main` that returns an error prints it in this form.
impl fmt::Debug for SettingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Returns the value of a required setting.
pub fn required(name: &'static str) -> Result<String, SettingError> {
    optional(name).ok_or(SettingError::new(name, "set (see docs/CONFIGURATION.md)"))
}

/// Returns the value of an optional setting. An empty value counts as absent, because a template's parameter can't be
/// absent.
pub fn optional(name: &'static str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

/// Returns the value of an optional setting that is `true` or `false`.
pub fn flag(name: &'static str, default: bool) -> Result<bool, SettingError> {
    match optional(name).as_deref() {
        None => Ok(default),
        Some("true") => Ok(true),
        Some("false") => Ok(false),
        Some(_) => Err(SettingError::new(name, "`true` or `false`")),
    }
}

/// Whether the pooler keeps named statements (`DATABASE_NAMED_STATEMENTS`, by default `false`).
pub fn named_statements() -> Result<bool, SettingError> {
    flag("DATABASE_NAMED_STATEMENTS", false)
}

/// Whether conversations are private Realtime channels (`REALTIME_PRIVATE`, by default `false`).
pub fn realtime_private() -> Result<bool, SettingError> {
    flag("REALTIME_PRIVATE", false)
}

/// Whether events also go to the participants' inbox channels (`REALTIME_INBOX`, by default `false`).
pub fn realtime_inbox() -> Result<bool, SettingError> {
    flag("REALTIME_INBOX", false)
}

/// The base URL of the Supabase project (`SUPABASE_URL`), without a trailing slash. Its scheme and host are in lower
/// case: HTTP clients send the host so, and a signature covers it.
pub fn supabase_url() -> Result<String, SettingError> {
    const NAME: &str = "SUPABASE_URL";
    let url = reqwest::Url::parse(&required(NAME)?).ok().filter(reqwest::Url::has_host);
    let url = url.ok_or(SettingError::new(NAME, "an address such as https://abcdefghijkl.supabase.co"))?;
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

/// The key that clients subscribe with (`SUPABASE_ANON_KEY`). A secret key is refused, because every client would get
/// it.
pub fn supabase_anon_key() -> Result<String, SettingError> {
    const NAME: &str = "SUPABASE_ANON_KEY";
    let key = required(NAME)?;
    match KeyKind::of(&key) {
        KeyKind::Secret => {
            let public = SettingError::new(NAME, "the project's public key (anon or sb_publishable_…)");
            Err(public.because("it is a secret one, and every client would get it"))
        }
        KeyKind::Public | KeyKind::Unknown => Ok(key),
    }
}

/// The access that a Supabase API key gives, as far as the key shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    /// Access that anyone may have: `sb_publishable_…`, or a JWT of the role `anon`.
    Public,
    /// More access: `sb_secret_…`, or a JWT of any other role, such as `service_role`.
    Secret,
    /// Access that the key doesn't show.
    Unknown,
}

impl KeyKind {
    /// Reads a key. A JWT's signature isn't checked.
    pub fn of(key: &str) -> Self {
        #[derive(Deserialize)]
        struct Claims {
            role: String,
        }
        let key = key.trim();
        if key.starts_with("sb_publishable_") {
            return Self::Public;
        }
        if key.starts_with("sb_secret_") {
            return Self::Secret;
        }
        let payload = key.split('.').nth(1).unwrap_or_default().trim_end_matches('=');
        let claims = BASE64_URL_SAFE_NO_PAD.decode(payload).ok();
        match claims.and_then(|claims| serde_json::from_slice::<Claims>(&claims).ok()) {
            Some(claims) if claims.role == "anon" => Self::Public,
            Some(_) => Self::Secret,
            None => Self::Unknown,
        }
    }
}

/// The bucket that images are in (`STORAGE_BUCKET`, by default `chat`).
pub fn storage_bucket() -> String {
    optional("STORAGE_BUCKET").unwrap_or_else(|| "chat".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A JWT with this payload and no signature.
    fn jwt(payload: &str) -> String {
        format!("eyJhbGciOiJIUzI1NiJ9.{}.x", BASE64_URL_SAFE_NO_PAD.encode(payload))
    }

    #[test]
    fn an_error_names_the_setting_what_it_accepts_and_the_cause() {
        let error = SettingError::new("A", "a whole number");
        assert_eq!(error.to_string(), "A must be a whole number");
        let error = error.because("invalid digit");
        assert_eq!((error.to_string(), error.cause()), (format!("{error:?}"), Some("invalid digit")));
        assert_eq!(error.to_string(), "A must be a whole number: invalid digit");
    }

    #[test]
    fn a_key_says_whether_it_is_public() {
        for (key, kind) in [
            ("sb_publishable_abc".to_owned(), KeyKind::Public),
            (jwt(r#"{"iss":"supabase","role":"anon","exp":1983812996}"#), KeyKind::Public),
            ("sb_secret_abc".to_owned(), KeyKind::Secret),
            (" sb_secret_abc\n".to_owned(), KeyKind::Secret),
            (jwt(r#"{"iss":"supabase","role":"service_role"}"#), KeyKind::Secret),
            (jwt(r#"{"role":"service_role"}"#) + "=", KeyKind::Secret),
            (jwt(r#"{"role":"supabase_admin"}"#), KeyKind::Secret),
            (jwt(r#"{"iss":"supabase"}"#), KeyKind::Unknown),
            (jwt("nonsense"), KeyKind::Unknown),
            ("a.é.c".to_owned(), KeyKind::Unknown),
            (String::new(), KeyKind::Unknown),
        ] {
            assert_eq!(KeyKind::of(&key), kind, "{key}");
        }
    }
}
