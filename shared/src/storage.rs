//! Supabase Storage through its S3 endpoint, for programs that remove images: lists and deletes files.

use crate::{Error, Result, config, tls};
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region, RequestChecksumCalculation};
use aws_sdk_s3::{Client, Config};
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use futures_util::{StreamExt, TryStreamExt, stream};
use std::time::{Duration, SystemTime};
use uuid::Uuid;

/// The timeout of one attempt of a request.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The number of files that are deleted at once. Each is a request of its own, because every S3 server supports that.
const AT_ONCE: usize = 8;

/// The bucket that images are in.
pub struct Storage {
    s3: Client,
    bucket: String,
}

/// A file in the bucket.
pub struct File {
    /// `<tenant>/<conversation>/<random>.<extension>`, if it is an upload of ours.
    pub path: String,
    /// The time at which it was last stored.
    pub stored_at: SystemTime,
}

impl File {
    /// Whether its path has the form that upload-image uses.
    pub fn is_upload(&self) -> bool {
        let mut parts = self.path.split('/');
        let is_id =
            |part: Option<&str>| part.is_some_and(|part| part.len() == 36 && Uuid::try_parse(part).is_ok());
        is_id(parts.next()) && is_id(parts.next()) && parts.next().is_some() && parts.next().is_none()
    }
}

impl Storage {
    /// Reads `SUPABASE_URL` and `STORAGE_*`.
    pub fn from_env() -> Result<Self, lambda_http::Error> {
        let url = config::supabase_url()?;
        let (id, secret) = ("STORAGE_ACCESS_KEY_ID", "STORAGE_SECRET_ACCESS_KEY");
        let credentials =
            Credentials::new(config::required(id)?, config::required(secret)?, None, None, "environment");
        let http = reqwest::Client::builder().tls_backend_preconfigured(tls::public()?).build()?;
        let connector = SharedHttpConnector::new(Http(http));
        let s3 = Config::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .endpoint_url(format!("{url}/storage/v1/s3/")) // without the last slash, the bucket would be appended to `s3`
            .region(Region::new(config::required("STORAGE_REGION")?))
            .credentials_provider(credentials)
            .force_path_style(true)
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .timeout_config(TimeoutConfig::builder().operation_attempt_timeout(TIMEOUT).build())
            .http_client(http_client_fn(move |_, _| connector.clone()))
            .build();
        Ok(Self { s3: Client::from_conf(s3), bucket: config::storage_bucket() })
    }

    /// Lists at most `limit` files whose paths come after `after`, in order of their paths.
    pub async fn list(&self, after: &str, limit: i32) -> Result<Vec<File>> {
        let page = self.s3.list_objects_v2().bucket(&self.bucket).start_after(after).max_keys(limit);
        let page = page.send().await.map_err(|error| Error::Storage(error.into()))?;
        let files = page.contents.unwrap_or_default().into_iter().filter_map(|object| {
            let stored_at = SystemTime::try_from(object.last_modified?).ok()?;
            Some(File { path: object.key?, stored_at })
        });
        Ok(files.collect())
    }

    /// Deletes files. Files that don't exist count as deleted.
    pub async fn delete(&self, paths: &[String]) -> Result<()> {
        stream::iter(paths)
            .map(|path| async move {
                let deleted = self.s3.delete_object().bucket(&self.bucket).key(path).send().await;
                deleted.map(|_| ()).map_err(|error| Error::Storage(error.into()))
            })
            .buffer_unordered(AT_ONCE)
            .try_collect()
            .await
    }
}

/// The HTTP client of the other modules, adapted to the SDK. The SDK's own client would add another certificate store.
#[derive(Debug)]
struct Http(reqwest::Client);

impl HttpConnector for Http {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let http = self.0.clone();
        HttpConnectorFuture::new(async move {
            let request = request.try_into_http1x().map_err(|error| ConnectorError::user(error.into()))?;
            let request = request.map(|body| body.bytes().unwrap_or_default().to_vec());
            let request =
                request.try_into().map_err(|error: reqwest::Error| ConnectorError::user(error.into()))?;
            let io = |error: reqwest::Error| ConnectorError::io(error.without_url().into());
            let received = http.execute(request).await.map_err(io)?;
            let mut response = http::Response::new(SdkBody::empty());
            *response.status_mut() = received.status();
            response.headers_mut().clone_from(received.headers());
            *response.body_mut() = SdkBody::from(received.bytes().await.map_err(io)?);
            HttpResponse::try_from(response).map_err(|error| ConnectorError::other(error.into(), None))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upload_is_known_by_its_path() {
        let id = "11111111-2222-4333-8444-555555555555";
        let is_upload = |path: String| File { path, stored_at: SystemTime::now() }.is_upload();
        assert!(is_upload(format!("{id}/{id}/{id}.png")));
        for other in [
            "doctor/x.png".to_owned(),
            format!("{id}/{id}"),
            format!("{id}/{id}/a/b"),
            format!("{id}/x/a.png"),
        ] {
            assert!(!is_upload(other.clone()), "{other}");
        }
    }
}
