//! Settings from the environment. If a required one is missing, the function stops at start-up with an error that names
//! it.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::Deserialize;
use std::env;

/// Returns the value of a required setting, or an error that stops the function at start-up.
pub fn required(name: &'static str) -> Result<String, lambda_http::Error> {
    optional(name)
        .ok_or_else(|| format!("set {name}: it is missing or empty (see docs/CONFIGURATION.md)").into())
}

/// Returns the value of an optional setting. An empty value counts as absent, because a template's parameter can't be
/// absent.
pub fn optional(name: &'static str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

/// Whether conversations are private Realtime channels (`REALTIME_PRIVATE`, by default `false`).
pub fn realtime_private() -> Result<bool, lambda_http::Error> {
    switch("REALTIME_PRIVATE")
}

/// Whether events also go to the participants' inbox channels (`REALTIME_INBOX`, by default `false`).
pub fn realtime_inbox() -> Result<bool, lambda_http::Error> {
    switch("REALTIME_INBOX")
}

fn switch(name: &'static str) -> Result<bool, lambda_http::Error> {
    match optional(name).as_deref() {
        Some("true") => Ok(true),
        Some("false") | None => Ok(false),
        Some(_) => Err(format!("{name} must be `true` or `false`").into()),
    }
}

/// The base URL of the Supabase project (`SUPABASE_URL`), without a trailing slash. Its scheme and host are in lower
/// case: HTTP clients send the host so, and a signature covers it.
pub fn supabase_url() -> Result<String, lambda_http::Error> {
    let url = reqwest::Url::parse(&required("SUPABASE_URL")?).ok().filter(reqwest::Url::has_host);
    let url = url.ok_or("SUPABASE_URL must be an address such as https://abcdefghijkl.supabase.co")?;
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

/// The key that clients subscribe with (`SUPABASE_ANON_KEY`). A secret key is refused, because every client would get
/// it.
pub fn supabase_anon_key() -> Result<String, lambda_http::Error> {
    let key = required("SUPABASE_ANON_KEY")?;
    match KeyKind::of(&key) {
        KeyKind::Secret => {
            Err("SUPABASE_ANON_KEY must be the project's public key (anon or sb_publishable_…): \
            it is a secret one, and every client would get it"
                .into())
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
