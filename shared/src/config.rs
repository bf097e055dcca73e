//! Settings from the environment. A missing one stops the function at start-up with a text that names it.

use std::env;

/// The value of a setting that must be there; its absence ends the function's start-up.
pub fn required(name: &'static str) -> Result<String, lambda_http::Error> {
    optional(name)
        .ok_or_else(|| format!("set {name}: it is missing or empty (see README.md, Configuration)").into())
}

/// The value of a setting that may be left out; an empty one counts as left out, because a template's parameter
/// can't be absent.
pub fn optional(name: &'static str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

/// Whether conversations are private Realtime channels (`REALTIME_PRIVATE`, by default `false`).
pub fn realtime_private() -> Result<bool, lambda_http::Error> {
    match optional("REALTIME_PRIVATE").as_deref() {
        Some("true") => Ok(true),
        Some("false") | None => Ok(false),
        Some(_) => Err("mend REALTIME_PRIVATE: it is true or false".into()),
    }
}

/// The base address of the Supabase project (`SUPABASE_URL`), without a slash at its end.
pub fn supabase_url() -> Result<String, lambda_http::Error> {
    Ok(required("SUPABASE_URL")?.trim_end_matches('/').to_owned())
}

/// The bucket that images are in (`STORAGE_BUCKET`, by default `chat`).
pub fn storage_bucket() -> String {
    optional("STORAGE_BUCKET").unwrap_or_else(|| "chat".to_owned())
}
