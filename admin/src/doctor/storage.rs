//! Storage: a file must go in through the S3 endpoint, be public, and go away again.

use super::{http, required, supabase_url};
use anyhow::ensure;
use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region, RequestChecksumCalculation};
use aws_sdk_s3::presigning::PresigningConfig;
use aws_sdk_s3::{Client, Config};
use base64::prelude::{BASE64_STANDARD, Engine};
use shared::config;
use std::time::Duration;
use uuid::Uuid;

/// One transparent pixel.
const PNG: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

pub async fn round_trip() -> anyhow::Result<String> {
    let url = supabase_url()?;
    let bucket = config::storage_bucket();
    let path = format!("doctor/{}.png", Uuid::new_v4());
    let (s3, http) = (client(&url)?, http()?);
    let soon = || PresigningConfig::expires_in(Duration::from_mins(1));

    let put = s3.put_object().bucket(&bucket).key(&path).content_type("image/png").presigned(soon()?).await?;
    let request = http.put(put.uri()).header("content-type", "image/png").body(BASE64_STANDARD.decode(PNG)?);
    let stored = request.send().await.map_err(reqwest::Error::without_url)?.status();
    ensure!(
        stored.is_success(),
        "mend STORAGE_ACCESS_KEY_ID, STORAGE_SECRET_ACCESS_KEY, STORAGE_REGION or the bucket {bucket}: putting a \
        file is answered {stored}"
    );
    let public = http.get(format!("{url}/storage/v1/object/public/{bucket}/{path}")).send().await?.status();

    let delete = s3.delete_object().bucket(&bucket).key(&path).presigned(soon()?).await?;
    let deleted = http.delete(delete.uri()).send().await.map_err(reqwest::Error::without_url)?.status();
    ensure!(public.is_success(), "make the bucket {bucket} public: getting a file is answered {public}");
    ensure!(deleted.is_success(), "delete {path} by hand: deleting it is answered {deleted}");
    Ok(format!("a file went into the bucket {bucket}, was public, and is gone"))
}

/// As upload-image sets it up.
fn client(url: &str) -> anyhow::Result<Client> {
    let (id, secret) = (required("STORAGE_ACCESS_KEY_ID")?, required("STORAGE_SECRET_ACCESS_KEY")?);
    let config = Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .endpoint_url(format!("{url}/storage/v1/s3/"))
        .region(Region::new(required("STORAGE_REGION")?))
        .credentials_provider(Credentials::new(id, secret, None, None, "environment"))
        .force_path_style(true)
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .build();
    Ok(Client::from_conf(config))
}
