//! Checks of the settings themselves: they are present and well-formed. This comes before anything is tried with them.

use super::Fault;
use reqwest::Url;
use shared::access_token::Signer;
use shared::config::{self, KeyKind, SettingError};
use shared::db;
use std::error::Error;
use std::net::IpAddr;

/// The settings that some function needs, and where each is found in Supabase.
const NEEDED: [(&str, &str); 7] = [
    ("DATABASE_URL", "Connect, Transaction pooler"),
    ("SUPABASE_URL", "Project Settings, Data API"),
    ("SUPABASE_ANON_KEY", "Project Settings, API Keys"),
    ("SUPABASE_SERVICE_ROLE_KEY", "Project Settings, API Keys"),
    ("STORAGE_REGION", "Storage, S3"),
    ("STORAGE_ACCESS_KEY_ID", "Storage, S3"),
    ("STORAGE_SECRET_ACCESS_KEY", "Storage, S3"),
];

const PUBLIC: &str = "Set it to the project's public key, anon or sb_publishable_…";
const SECRET: &str = "Set it to the project's secret key, service_role or sb_secret_…";
const ADDRESS: &str = "Set it to the project's address alone, such as https://abcdefghijkl.supabase.co";

/// Returns the line to print if there are no faults.
pub fn summary() -> String {
    format!("all {} are set", NEEDED.len())
}

/// Returns the faults of the settings, at most one for each.
pub fn faults() -> Vec<Fault> {
    let mut faults: Vec<_> = NEEDED.into_iter().filter_map(|(name, place)| unfit(name, place)).collect();
    let sound = |name| faults.iter().all(|fault: &Fault| fault.setting != name);
    let more = [
        sound("DATABASE_URL").then(database).flatten(),
        sound("SUPABASE_URL").then(supabase_url).flatten(),
        sound("SUPABASE_ANON_KEY").then(anon_key).flatten(),
        sound("SUPABASE_SERVICE_ROLE_KEY").then(service_role_key).flatten(),
        switch("REALTIME_PRIVATE", config::realtime_private().is_ok()),
        switch("REALTIME_INBOX", config::realtime_inbox().is_ok()),
        realtime_jwt_key(),
    ];
    faults.extend(more.into_iter().flatten());
    faults
}

/// Returns the fault of a setting that is missing, or was copied with surrounding text.
fn unfit(name: &'static str, place: &str) -> Option<Fault> {
    let Some(value) = config::optional(name) else {
        return Some(Fault::new(name, "is missing", format!("Set it to what Supabase shows under {place}")));
    };
    let stray = value.chars().find(|letter| letter.is_whitespace() || letter.is_control())?;
    let stray = if matches!(stray, '\n' | '\r') { "a line break" } else { "a space or control character" };
    Some(Fault::new(name, format!("has {stray} in it"), "Set it without that"))
}

fn database() -> Option<Fault> {
    let (url, ca) = (config::optional("DATABASE_URL")?, config::optional("DATABASE_CA_CERT"));
    let told = |error: Box<dyn Error + Send + Sync>| {
        let cause = error.downcast_ref().and_then(SettingError::cause).map(str::to_owned);
        format!("can't be used: {}", cause.unwrap_or_else(|| error.to_string()))
    };
    if let Err(error) = db::settings_for(&url, None) {
        let step = "Write it as postgres://user:password@host:port/database, the password percent-encoded";
        return Some(Fault::new("DATABASE_URL", told(error), step));
    }
    let error = db::settings_for(&url, ca.as_deref()).err()?;
    let step = "Set it to the root certificate, as PEM text or the path of a PEM file";
    Some(Fault::new("DATABASE_CA_CERT", told(error), step))
}

fn supabase_url() -> Option<Fault> {
    let fault = |seen: String| Some(Fault::new("SUPABASE_URL", seen, ADDRESS));
    let Ok(url) = config::optional("SUPABASE_URL")?.parse::<Url>() else {
        return fault("is no address".to_owned());
    };
    if url.path() != "/" || url.query().is_some() {
        return fault(format!("has a path, {}", url.path()));
    }
    match url.scheme() {
        "https" => None,
        "http" if url.host_str().is_some_and(is_near) => None,
        scheme => fault(format!("begins with {scheme}://")),
    }
}

/// Whether it is a host of this machine or network, which doesn't need TLS.
fn is_near(host: &str) -> bool {
    match host.trim_start_matches('[').trim_end_matches(']').parse() {
        Ok(IpAddr::V4(ip)) => ip.is_loopback() || ip.is_private(),
        Ok(IpAddr::V6(ip)) => ip.is_loopback() || ip.is_unique_local(),
        Err(_) => !host.contains('.') || host.ends_with(".internal"),
    }
}

fn anon_key() -> Option<Fault> {
    let is_secret = KeyKind::of(&config::optional("SUPABASE_ANON_KEY")?) == KeyKind::Secret;
    let seen = "is a secret key, which every client would get";
    is_secret.then(|| Fault::new("SUPABASE_ANON_KEY", seen, PUBLIC))
}

fn service_role_key() -> Option<Fault> {
    let is_public = KeyKind::of(&config::optional("SUPABASE_SERVICE_ROLE_KEY")?) == KeyKind::Public;
    is_public.then(|| Fault::new("SUPABASE_SERVICE_ROLE_KEY", "is the public key", SECRET))
}

fn switch(name: &'static str, is_one: bool) -> Option<Fault> {
    (!is_one).then(|| Fault::new(name, "is neither `true` nor `false`", "Set it to one of them"))
}

fn realtime_jwt_key() -> Option<Fault> {
    Signer::from_env().err()?;
    let step = "Set it to a private ES256 key as a JWK with kid, crv, x, y and d, or to the project's legacy JWT secret";
    Some(Fault::new("REALTIME_JWT_KEY", "is no key that get-config can sign with", step))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_near_hosts_may_do_without_tls() {
        for host in ["127.0.0.1", "[::1]", "localhost", "10.1.2.3", "host.docker.internal", "kong"] {
            assert!(is_near(host), "{host}");
        }
        for host in ["abcdefghijkl.supabase.co", "8.8.8.8", "[2001:4860:4860::8888]", "example.com"] {
            assert!(!is_near(host), "{host}");
        }
    }
}
