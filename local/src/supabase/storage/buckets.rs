//! The buckets of supabase/config.toml and their limits.

use anyhow::Context;
use axum::http::StatusCode;
use s3s::{S3Error, S3ErrorCode, S3Result};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

/// All buckets, by name.
#[derive(Deserialize)]
#[serde(transparent)]
pub(crate) struct Buckets(BTreeMap<String, Bucket>);

#[derive(Deserialize)]
struct Bucket {
    #[serde(default)]
    public: bool,
    file_size_limit: Option<String>,
    allowed_mime_types: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct Config {
    storage: Section,
}

#[derive(Deserialize)]
struct Section {
    buckets: Buckets,
}

impl Buckets {
    /// Reads the file.
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
        let config: Config = toml::from_str(&text).with_context(|| path.display().to_string())?;
        Ok(config.storage.buckets)
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &String> {
        self.0.keys()
    }

    pub(crate) fn is_public(&self, bucket: &str) -> bool {
        self.0.get(bucket).is_some_and(|bucket| bucket.public)
    }

    /// Checks an object's size, in bytes, and declared type against the limits of a bucket.
    pub(crate) fn check(&self, bucket: &str, size: u64, mime: Option<&str>) -> S3Result<()> {
        let bucket = self.0.get(bucket).ok_or(S3ErrorCode::NoSuchBucket)?;
        if bucket.max_size().is_some_and(|max| size > max) {
            let text = "The object exceeded the maximum allowed size";
            return Err(refusal(S3ErrorCode::EntityTooLarge, StatusCode::PAYLOAD_TOO_LARGE, text.to_owned()));
        }
        let mime = mime.unwrap_or("application/octet-stream");
        let essence = mime.split(';').next().unwrap_or_default().trim();
        if bucket.allowed_mime_types.as_ref().is_some_and(|all| !all.iter().any(|allowed| allowed == essence))
        {
            let code = S3ErrorCode::Custom("InvalidMimeType".into());
            let text = format!("mime type {mime} is not supported");
            return Err(refusal(code, StatusCode::UNSUPPORTED_MEDIA_TYPE, text));
        }
        Ok(())
    }
}

impl Bucket {
    fn max_size(&self) -> Option<u64> {
        self.file_size_limit.as_deref().and_then(parse_size)
    }
}

/// Parses a size such as `10MiB` as the Supabase CLI does: units are powers of 1024, with or without the `i`.
fn parse_size(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let unit = match text.get(digits.len()..)?.trim().to_ascii_uppercase().chars().next() {
        None | Some('B') => 1,
        Some('K') => 1 << 10,
        Some('M') => 1 << 20,
        Some('G') => 1 << 30,
        Some(_) => return None,
    };
    Some(digits.parse::<u64>().ok()? * unit)
}

fn refusal(code: S3ErrorCode, status: StatusCode, text: String) -> S3Error {
    let mut error = S3Error::with_message(code, text);
    error.set_status_code(status);
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_the_cli_reads_them() {
        assert_eq!(parse_size("10MiB"), Some(10_485_760));
        assert_eq!(parse_size("10MB"), Some(10_485_760));
        assert_eq!(parse_size("512"), Some(512));
        assert_eq!(parse_size("a lot"), None);
    }

    #[test]
    fn a_bucket_enforces_its_limits() {
        let config = r#"
            [storage.buckets.chat]
            public = true
            file_size_limit = "1KiB"
            allowed_mime_types = ["image/png"]
        "#;
        let buckets = toml::from_str::<Config>(config).unwrap().storage.buckets;
        let status = |bucket, size, mime| match buckets.check(bucket, size, mime) {
            Ok(()) => 200,
            Err(error) => error.status_code().unwrap().as_u16(),
        };
        assert_eq!(status("chat", 1024, Some("image/png")), 200);
        assert_eq!(status("chat", 1025, Some("image/png")), 413);
        assert_eq!(status("chat", 1, Some("text/html")), 415);
        assert_eq!(status("chat", 1, None), 415);
        assert_eq!(status("other", 1, Some("image/png")), 404);
        assert!(buckets.is_public("chat") && !buckets.is_public("other"));
    }
}
