//! Checks of Storage: a file can be stored through the S3 endpoint, is public, and can be deleted.

use super::{Fault, http, required};
use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region, RequestChecksumCalculation};
use aws_sdk_s3::presigning::PresigningConfig;
use aws_sdk_s3::{Client, Config};
use base64::prelude::{BASE64_STANDARD, Engine};
use reqwest::{Method, Response};
use shared::config;
use std::time::Duration;
use uuid::Uuid;

/// One transparent pixel.
const PNG: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

/// A region that Storage accepts in addition to its own, unless it is configured to be strict.
const ANY_REGION: &str = "us-east-1";

const URL: &str = "SUPABASE_URL";
const BUCKET: &str = "STORAGE_BUCKET";
const REGION: &str = "STORAGE_REGION";

pub async fn round_trip(url: &str) -> Result<(String, ()), Fault> {
    let unfit = |error: anyhow::Error| {
        Fault::new(REGION, format!("or an access key can't be used: {error:#}"), "Correct it")
    };
    let bucket = config::storage_bucket();
    let file = File { url, bucket: &bucket, path: format!("doctor/{}.png", Uuid::new_v4()) };
    let region = required(REGION).map_err(unfit)?;

    let stored = file.send(Method::PUT, &region).await.map_err(unfit)?.ok_or_else(silent)?;
    if !stored.status().is_success() {
        return Err(refused(&file, &region, stored).await);
    }
    let address = format!("{url}/storage/v1/object/public/{bucket}/{}", file.path);
    let public = http().map_err(unfit)?.get(address).send().await.map_err(|_| silent())?.status();
    let deleted = file.send(Method::DELETE, &region).await.map_err(unfit)?.ok_or_else(silent)?.status();
    if !public.is_success() {
        let seen = format!(
            "is `{bucket}`, which isn't public: the response to a GET of a file is {}",
            public.as_u16()
        );
        return Err(Fault::new(BUCKET, seen, "Make the bucket public in Supabase"));
    }
    if !deleted.is_success() {
        let seen = format!(
            "is `{bucket}`, where {} can't be deleted: the response is {}",
            file.path,
            deleted.as_u16()
        );
        return Err(Fault::new(BUCKET, seen, "Delete the file in Supabase, and check the bucket's policies"));
    }
    Ok((format!("a file could be stored in the bucket {bucket}, was public, and is deleted again"), ()))
}

struct File<'a> {
    url: &'a str,
    bucket: &'a str,
    path: String,
}

impl File<'_> {
    /// Puts or deletes the file. Returns `None` if no response came.
    async fn send(&self, method: Method, region: &str) -> anyhow::Result<Option<Response>> {
        let (s3, soon) = (client(self.url, region)?, PresigningConfig::expires_in(Duration::from_mins(1))?);
        let (bucket, path) = (self.bucket, &self.path);
        let request = if method == Method::PUT {
            let put =
                s3.put_object().bucket(bucket).key(path).content_type("image/png").presigned(soon).await?;
            let request = http()?.put(put.uri()).header("content-type", "image/png");
            request.body(BASE64_STANDARD.decode(PNG)?)
        } else {
            let delete = s3.delete_object().bucket(bucket).key(path).presigned(soon).await?;
            http()?.delete(delete.uri())
        };
        Ok(request.send().await.ok())
    }
}

fn silent() -> Fault {
    Fault::new(
        URL,
        "points to a Storage that doesn't respond",
        "Check the project's health in Supabase, and try again",
    )
}

/// Returns the fault if a file is refused, by S3's error codes as Storage uses them. For a wrong region, Storage
/// reports a wrong signature, unless it is configured to be strict.
async fn refused(file: &File<'_>, region: &str, response: Response) -> Fault {
    let status = response.status().as_u16();
    let text = response.text().await.unwrap_or_default();
    let part = |name: &str| {
        let from = text.split_once(&format!("<{name}>"))?.1;
        Some(from.split_once(&format!("</{name}>"))?.0)
    };
    let (code, message) = (part("Code").unwrap_or_default(), part("Message").unwrap_or_default());
    match code {
        "NoSuchBucket" => Fault::new(
            BUCKET,
            format!("is `{}`, and that bucket doesn't exist", file.bucket),
            "Create the bucket (docs/OPERATIONS.md, step 3), or correct the name",
        ),
        "InvalidAccessKeyId" | "NotSignedUp" => unknown_id(),
        "AccessDenied" if message.contains("Access Key") => unknown_id(),
        "AccessDenied" if message.contains("Region") => wrong_region(region),
        "AuthorizationHeaderMalformed" => wrong_region(region),
        "SignatureDoesNotMatch" => {
            if let Ok(Some(response)) = file.send(Method::PUT, ANY_REGION).await
                && response.status().is_success()
            {
                let _left_behind = file.send(Method::DELETE, ANY_REGION).await;
                return wrong_region(region);
            }
            let step = "Copy the secret from Supabase again (Storage, S3), or create a new key";
            Fault::new("STORAGE_SECRET_ACCESS_KEY", "isn't the secret of STORAGE_ACCESS_KEY_ID", step)
        }
        "" if status == 404 => {
            let seen = "points to a server without Storage: its response is 404";
            Fault::new(URL, seen, "Set it to the address of a Supabase project")
        }
        "EntityTooLarge" | "InvalidMimeType" => Fault::new(
            BUCKET,
            format!("is `{}`, which refuses a PNG of 70 bytes: {message}", file.bucket),
            "Set the bucket's limits as in docs/OPERATIONS.md, step 3",
        ),
        _ => Fault::new(
            URL,
            format!("points to a Storage that responds to a PUT with {status} {code} {message}")
                .trim_end()
                .to_owned(),
            "Check the project's health in Supabase, and try again",
        ),
    }
}

fn unknown_id() -> Fault {
    let step = "Copy the id from Supabase again (Storage, S3), or create a new key";
    Fault::new("STORAGE_ACCESS_KEY_ID", "is unknown to Storage", step)
}

fn wrong_region(region: &str) -> Fault {
    let step = "Copy the region from Supabase (Storage, S3)";
    Fault::new(REGION, format!("is `{region}`, and Storage is in another region"), step)
}

/// Returns an S3 client with upload-image's settings.
fn client(url: &str, region: &str) -> anyhow::Result<Client> {
    let (id, secret) = (required("STORAGE_ACCESS_KEY_ID")?, required("STORAGE_SECRET_ACCESS_KEY")?);
    let config = Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .endpoint_url(format!("{url}/storage/v1/s3/"))
        .region(Region::new(region.to_owned()))
        .credentials_provider(Credentials::new(id, secret, None, None, "environment"))
        .force_path_style(true)
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .build();
    Ok(Client::from_conf(config))
}
