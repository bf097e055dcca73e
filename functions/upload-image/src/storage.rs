//! Supabase Storage through its S3 endpoint. Every upload is a signed PUT, whether by this function or by the caller.

use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region, RequestChecksumCalculation};
use aws_sdk_s3::presigning::PresigningConfig;
use aws_sdk_s3::{Client, Config};
use bytes::Bytes;
use reqwest::Response;
use reqwest::redirect::Policy;
use serde::Serialize;
use shared::image::ImageType;
use shared::model::Timestamp;
use shared::{Error, Result, config, tls};
use std::cell::LazyCell;
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The validity of a signed upload.
const VALID: Duration = Duration::from_mins(10);

/// The cache header of images. A path is never written twice, so its content never changes.
const CACHE_CONTROL: &str = "public, max-age=31536000, immutable";

const TIMEOUT: Duration = Duration::from_secs(20);

/// The number of bytes of a refusal that are read to find its code.
const MAX_REFUSAL: usize = 4_096;

pub struct Storage {
    /// Made by the first upload. It is the most expensive part of a cold start, and a refused request doesn't need it.
    s3: LazyCell<Client, Box<dyn FnOnce() -> Client>>,
    http: reqwest::Client,
    bucket: String,
    public_url: String,
}

/// Permission to PUT one file of one type and length to one path.
#[derive(Serialize)]
pub struct SignedPut {
    method: &'static str,
    url: String,
    /// The headers that the PUT must have, besides the content length, which every HTTP client sets by itself.
    headers: BTreeMap<String, String>,
    expires_at: Timestamp,
}

impl Storage {
    /// Reads `SUPABASE_URL` and `STORAGE_*`.
    pub fn from_env() -> Result<Self, lambda_http::Error> {
        let url = config::supabase_url()?;
        let bucket = config::storage_bucket();
        let (id, secret) = ("STORAGE_ACCESS_KEY_ID", "STORAGE_SECRET_ACCESS_KEY");
        let credentials =
            Credentials::new(config::required(id)?, config::required(secret)?, None, None, "environment");
        let s3 = Config::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .endpoint_url(format!("{url}/storage/v1/s3/")) // without the last slash, the bucket would be appended to `s3`
            .region(Region::new(config::required("STORAGE_REGION")?))
            .credentials_provider(credentials)
            .force_path_style(true)
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .build();
        Ok(Self {
            s3: LazyCell::new(Box::new(|| Client::from_conf(s3))),
            http: reqwest::Client::builder()
                .tls_backend_preconfigured(tls::public()?)
                .timeout(TIMEOUT)
                .redirect(Policy::none()) // a redirected PUT may become a GET, which stores nothing
                .build()?,
            public_url: format!("{url}/storage/v1/object/public/{bucket}"),
            bucket,
        })
    }

    /// Returns the public URL of the file at `path`.
    pub fn public_url(&self, path: &str) -> String {
        format!("{}/{path}", self.public_url)
    }

    /// Signs the upload of one file. This needs no network.
    pub async fn sign(&self, path: &str, image: ImageType, bytes: u64) -> Result<SignedPut> {
        // A signature's time has whole seconds.
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let start = UNIX_EPOCH + Duration::from_secs(now.as_secs());
        let expiry = PresigningConfig::builder().start_time(start).expires_in(VALID).build();
        let expiry = expiry.map_err(|error| Error::Storage(error.into()))?;
        let expires_at = (start + VALID).into();
        let signed = self
            .s3
            .put_object()
            .bucket(&self.bucket)
            .key(path)
            .content_type(image.mime())
            .content_length(i64::try_from(bytes).map_err(|error| Error::Storage(error.into()))?)
            .cache_control(CACHE_CONTROL)
            .presigned(expiry)
            .await
            .map_err(|error| Error::Storage(error.into()))?;
        let headers = signed
            .headers()
            .filter(|(name, _)| !name.eq_ignore_ascii_case("content-length"))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        Ok(SignedPut { method: "PUT", url: signed.uri().to_owned(), headers, expires_at })
    }

    /// Stores a file.
    pub async fn put(&self, path: &str, image: ImageType, bytes: Bytes) -> Result<()> {
        let signed = self.sign(path, image, bytes.len() as u64).await?;
        let mut request = self.http.put(signed.url);
        for (name, value) in signed.headers {
            request = request.header(name, value);
        }
        // The URL carries the signature, so it is removed from errors.
        let response = request.body(bytes).send().await;
        let response = response.map_err(|error| Error::Storage(error.without_url().into()))?;
        let status = response.status();
        if status.is_success() {
            return Ok(());
        }
        let code = s3_code(&refusal(response).await).unwrap_or("none").to_owned();
        Err(Error::Storage(format!("Storage responded {status}, S3 error code {code}").into()))
    }
}

/// Returns the beginning of a refusal's body, as much of it as arrives.
async fn refusal(mut response: Response) -> String {
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        body.extend_from_slice(&chunk);
        if body.len() >= MAX_REFUSAL {
            break;
        }
    }
    String::from_utf8_lossy(&body).into_owned()
}

/// Returns the code in an S3 error, such as `SignatureDoesNotMatch`. It goes into the log, so any other text is
/// rejected.
fn s3_code(xml: &str) -> Option<&str> {
    let (_, rest) = xml.split_once("<Code>")?;
    let (code, _) = rest.split_once("</Code>")?;
    let is_code = (1..=64).contains(&code.len()) && code.bytes().all(|byte| byte.is_ascii_alphanumeric());
    is_code.then_some(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_s3_error_says_its_code() {
        let error =
            |code| format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>No.</Message></Error>");
        assert_eq!(s3_code(&error("InvalidAccessKeyId")), Some("InvalidAccessKeyId"));
        for no_code in ["", "a secret\n", &"x".repeat(65)] {
            assert_eq!(s3_code(&error(no_code)), None, "{no_code}");
        }
        assert_eq!(s3_code("{\"message\":\"no\"}"), None);
    }
}
