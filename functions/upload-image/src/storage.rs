//! Supabase Storage through its S3 endpoint. Every upload is a signed PUT: ours and the caller's own alike.

use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region, RequestChecksumCalculation};
use aws_sdk_s3::presigning::PresigningConfig;
use aws_sdk_s3::{Client, Config};
use bytes::Bytes;
use serde::Serialize;
use shared::image::ImageType;
use shared::model::Timestamp;
use shared::{Error, Result, config, tls};
use std::cell::LazyCell;
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

/// How long a signed upload is good for.
const VALID: Duration = Duration::from_mins(10);

/// A path is never written twice, so what it holds never changes.
const CACHE_CONTROL: &str = "public, max-age=31536000, immutable";

const TIMEOUT: Duration = Duration::from_secs(20);

pub struct Storage {
    /// Made by the first upload: it costs a cold start more than all else, and a refused request doesn't need it.
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
    /// What the PUT must carry beside the content length, which every HTTP client sets by itself.
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
            .endpoint_url(format!("{url}/storage/v1/s3/")) // without the last slash, the bucket would be glued to it
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
                .build()?,
            public_url: format!("{url}/storage/v1/object/public/{bucket}"),
            bucket,
        })
    }

    /// Where anyone can read what is stored at `path`.
    pub fn public_url(&self, path: &str) -> String {
        format!("{}/{path}", self.public_url)
    }

    /// Signs the upload of one file. Needs no network.
    pub async fn sign(&self, path: &str, image: ImageType, bytes: u64) -> Result<SignedPut> {
        let expiry = PresigningConfig::expires_in(VALID).map_err(|error| Error::Storage(error.into()))?;
        let expires_at = (SystemTime::now() + VALID).into();
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
        let sent = request.body(bytes).send().await.and_then(reqwest::Response::error_for_status);
        // Without its URL, which carries the signature.
        sent.map_err(|error| Error::Storage(error.without_url().into()))?;
        Ok(())
    }
}
