//! Checks of the settings themselves: they are present and well-formed. These checks run before any others.

use super::Fault;
use reqwest::Url;
use shared::access_token::Signer;
use shared::config::{self, KeyKind, SettingError};
use shared::db;
use std::error::Error;
use std::net::IpAddr;

/// The settings that functions require, and the place of each in Supabase.
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
const ADDRESS: &str = "Set it to the project's URL without a path, such as https://abcdefghijkl.supabase.co";

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
        switch("DATABASE_NAMED_STATEMENTS", config::named_statements().is_ok()),
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
        return Some(Fault::new(name, "is missing", format!("Copy it from Supabase: {place}")));
    };
    let stray = value.chars().find(|letter| letter.is_whitespace() || letter.is_control())?;
    let stray = if matches!(stray, '\n' | '\r') { "a line break" } else { "a space or a control character" };
    Some(Fault::new(name, format!("contains {stray}"), "Remove it"))
}

fn database() -> Option<Fault> {
    let (url, ca) = (config::optional("DATABASE_URL")?, config::optional("DATABASE_CA_CERT"));
    let told = |error: Box<dyn Error + Send + Sync>| {
        let cause = error.downcast_ref().and_then(SettingError::cause).map(str::to_owned);
        format!("can't be used: {}", cause.unwrap_or_else(|| error.to_string()))
    };
    if let Err(error) = db::settings_for(&url, None) {
        let step = "Set it to postgres://user:password@host:port/database, with the password percent-encoded";
        return Some(Fault::new("DATABASE_URL", told(error), step));
    }
    let error = db::settings_for(&url, ca.as_deref()).err()?;
    let step = "Set it to the root certificate, as PEM text or the path of a PEM file";
    Some(Fault::new("DATABASE_CA_CERT", told(error), step))
}

fn supabase_url() -> Option<Fault> {
    let fault = |seen: String| Some(Fault::new("SUPABASE_URL", seen, ADDRESS));
    let Ok(url) = config::optional("SUPABASE_URL")?.parse::<Url>() else {
        return fault("isn't a URL".to_owned());
    };
    if url.path() != "/" || url.query().is_some() {
        return fault(format!("has a path, {}", url.path()));
    }
    match url.scheme() {
        "https" => None,
        "http" if url.host_str().is_some_and(is_private) => None,
        scheme => fault(format!("begins with {scheme}:// and not https://")),
    }
}

/// Whether a host is this machine or in a private network, where TLS isn't required.
fn is_private(host: &str) -> bool {
    match host.trim_start_matches('[').trim_end_matches(']').parse() {
        Ok(IpAddr::V4(ip)) => ip.is_loopback() || ip.is_private(),
        Ok(IpAddr::V6(ip)) => ip.is_loopback() || ip.is_unique_local(),
        Err(_) => !host.contains('.') || host.ends_with(".internal"),
    }
}

fn anon_key() -> Option<Fault> {
    let is_secret = KeyKind::of(&config::optional("SUPABASE_ANON_KEY")?) == KeyKind::Secret;
    let seen = "is a secret key, which get-config would give to every client";
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
    Some(Fault::new("REALTIME_JWT_KEY", "isn't a key that get-config can sign with", step))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_private_hosts_may_do_without_tls() {
        for host in ["127.0.0.1", "[::1]", "localhost", "10.1.2.3", "host.docker.internal", "kong"] {
            assert!(is_private(host), "{host}");
        }
        for host in ["abcdefghijkl.supabase.co", "8.8.8.8", "[2001:4860:4860::8888]", "example.com"] {
            assert!(!is_private(host), "{host}");
        }
    }
}
