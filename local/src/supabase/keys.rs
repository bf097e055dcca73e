//! The API keys of the Supabase project.

use axum::http::{HeaderMap, header};

/// The well-known keys of every local Supabase: JWTs for the roles `anon` and `service_role`, valid until 2032. They are
/// useless outside local stacks.
pub(crate) const ANON_KEY: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJzdXBhYmFzZS1kZW1vIiwicm9sZSI6ImFub24iLCJleHAiOjE5ODM4MTI5OTZ9.CRXP1A7WOeoJeXxjNni43kdQwgnWNReilDMblYTn_I0";
pub(crate) const SERVICE_ROLE_KEY: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJzdXBhYmFzZS1kZW1vIiwicm9sZSI6InNlcnZpY2Vfcm9sZSIsImV4cCI6MTk4MzgxMjk5Nn0.EGIM96RAZx35lJzdJsyH-qQwv8Hdp7fsn3W0YpN81IU";

/// The secret that has signed the two keys, and the project's signing key for access tokens. Both are for local use only.
pub(crate) const JWT_SECRET: &str = "super-secret-jwt-token-with-at-least-32-characters-long";
pub(crate) const REALTIME_JWT_KEY: &str = r#"{"kty":"EC","crv":"P-256","alg":"ES256","kid":"local-realtime-key","x":"_zj3VJoMKLZ14N0bkDcnfiViFD0Z6IlkuIQJ4rYhHuo","y":"bl1WT1A9V9mCaFrPMGrLm51yzQhamQioyt2WyUmUnUc","d":"4N4jYawJfSzna6R65uEZi_uSGZF4DdhgOo6zM3S2AVE"}"#;

/// The keys that the project accepts.
#[derive(Clone)]
pub(crate) struct Keys {
    pub(crate) anon: String,
    pub(crate) service: String,
}

/// The role of a key.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Role {
    Anon,
    Service,
}

impl Keys {
    /// Returns the role of a key, or `None` if it is unknown.
    pub(crate) fn role(&self, key: &str) -> Option<Role> {
        match key {
            key if key == self.service => Some(Role::Service),
            key if key == self.anon => Some(Role::Anon),
            _ => None,
        }
    }

    /// Returns the role of an HTTP request. As at the real gateway, a bearer token has priority over `apikey`, and a key that
    /// isn't a JWT is refused as a bearer token.
    pub(crate) fn role_of_request(&self, headers: &HeaderMap) -> Option<Role> {
        let text = |name: &str| headers.get(name)?.to_str().ok();
        match text(header::AUTHORIZATION.as_str()) {
            Some(value) => {
                let token = value.strip_prefix("Bearer ")?;
                if token.starts_with("sb_") { None } else { self.role(token) }
            }
            None => self.role(text("apikey")?),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    #[test]
    fn the_bearer_token_has_priority() {
        let keys = Keys { anon: "a.b.c".into(), service: "sb_secret_x".into() };
        let role = |pairs: &[(&'static str, &'static str)]| {
            let pairs =
                pairs.iter().map(|&(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value)));
            keys.role_of_request(&pairs.collect())
        };
        assert_eq!(role(&[("apikey", "sb_secret_x")]), Some(Role::Service));
        assert_eq!(role(&[("apikey", "sb_secret_x"), ("authorization", "Bearer sb_secret_x")]), None);
        assert_eq!(role(&[("apikey", "sb_secret_x"), ("authorization", "Bearer a.b.c")]), Some(Role::Anon));
        assert_eq!(role(&[("apikey", "sb_secret_x"), ("authorization", "")]), None);
        assert_eq!(role(&[]), None);
    }
}
