//! Supabase Storage: its S3 endpoint, and the public URLs of objects.
//!
//! s3s-fs stores objects as files in `DATA_DIR`. supabase/config.toml defines the buckets and their limits.

mod buckets;
mod list;

pub(crate) use buckets::Buckets;

use anyhow::anyhow;
use axum::Router;
use axum::body::Body;
use axum::extract::{Path, RawQuery, Request, State};
use axum::http::{self, HeaderValue, Response, StatusCode, Uri, header};
use axum::response::{IntoResponse, Json};
use axum::routing::{any, get};
use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use list::List;
use s3s::access::{S3Access, S3AccessContext};
use s3s::auth::SimpleAuth;
use s3s::dto::{DeleteObjectInput, GetObjectInput, HeadObjectInput, PutObjectInput};
use s3s::region::Region;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{S3ErrorCode, S3Request, S3Result, s3_error};
use s3s_fs::FileSystem;
use serde_json::json;
use std::sync::Arc;

/// The path of the S3 endpoint. It must stay in the requests, because signatures cover it. s3s takes its first segment as the
/// bucket and the rest as the start of the key, and [`Rules`] corrects that.
const S3_BUCKET: &str = "storage";
const S3_KEY_PREFIX: &str = "v1/s3/";

/// Regions that Storage accepts in addition to its own.
const OTHER_REGIONS: [&str; 2] = ["us-east-1", "auto"];

/// The largest request, in bytes. It is above the limit of any bucket.
const MAX_REQUEST: usize = 64 * 1024 * 1024;

/// The credentials that sign requests to the S3 endpoint.
#[derive(Clone)]
pub(crate) struct Credentials {
    pub(crate) region: String,
    pub(crate) access_key_id: String,
    pub(crate) secret_access_key: String,
}

/// The object store.
#[derive(Clone)]
pub(crate) struct Storage {
    signed: S3Service,
    public: S3Service,
    buckets: Arc<Buckets>,
}

impl Storage {
    /// Opens the store in `folder`.
    pub(crate) fn open(
        folder: &std::path::Path,
        buckets: Buckets,
        credentials: &Credentials,
    ) -> anyhow::Result<Self> {
        for bucket in buckets.names() {
            std::fs::create_dir_all(folder.join(bucket))?;
        }
        let files = || FileSystem::new(folder).map_err(|error| anyhow!("{}: {error:?}", folder.display()));
        let buckets = Arc::new(buckets);
        let mut signed = S3ServiceBuilder::new(files()?);
        signed.set_auth(SimpleAuth::from_single(
            credentials.access_key_id.as_str(),
            credentials.secret_access_key.as_str(),
        ));
        let rules = Rules { buckets: buckets.clone(), region: credentials.region.clone() };
        signed.set_route(List { files: files()?, rules: rules.clone() });
        signed.set_access(rules);
        let public = S3ServiceBuilder::new(files()?).build();
        Ok(Self { signed: signed.build(), public, buckets })
    }

    /// Returns the routes of Storage.
    pub(crate) fn router(self) -> Router {
        Router::new()
            .route("/storage/v1/s3/{*path}", any(s3))
            .route("/storage/v1/object/public/{bucket}/{*path}", get(public_object))
            .with_state(self)
    }
}

async fn s3(State(storage): State<Storage>, request: Request) -> Response<Body> {
    let expired = request.uri().query().is_some_and(|query| has_expired(query, Utc::now()));
    let response = call(&storage.signed, request).await;
    if expired { expired_token() } else { response }
}

/// Whether a signed URL has expired. The real Storage also checks that before the signature.
fn has_expired(query: &str, now: DateTime<Utc>) -> bool {
    let value = |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
    let expiry = || {
        let start = NaiveDateTime::parse_from_str(value("X-Amz-Date")?, "%Y%m%dT%H%M%SZ").ok()?;
        let valid = TimeDelta::try_seconds(value("X-Amz-Expires")?.parse().ok()?)?;
        start.and_utc().checked_add_signed(valid)
    };
    expiry().is_some_and(|expiry| expiry < now)
}

fn expired_token() -> Response<Body> {
    let xml = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
        <Error><Code>ExpiredToken</Code><Message>The provided token has expired.</Message></Error>";
    (StatusCode::BAD_REQUEST, [(header::CONTENT_TYPE, "application/xml")], xml).into_response()
}

async fn public_object(
    State(storage): State<Storage>,
    Path((bucket, path)): Path<(String, String)>,
    RawQuery(query): RawQuery,
    mut request: Request,
) -> Response<Body> {
    let target = Uri::try_from(format!("/{bucket}/{path}"));
    if let (true, Ok(target)) = (storage.buckets.is_public(&bucket), target) {
        *request.uri_mut() = target;
        let known = request.headers().get(header::IF_NONE_MATCH).cloned();
        let mut response = call(&storage.public, request).await;
        let e_tag = response.headers().get(header::ETAG);
        if response.status().is_success() && known.is_some() && known.as_ref() == e_tag {
            return StatusCode::NOT_MODIFIED.into_response();
        }
        if response.status().is_success() {
            response.headers_mut().insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
            if let Some(disposition) = query.as_deref().and_then(disposition) {
                response.headers_mut().insert(header::CONTENT_DISPOSITION, disposition);
            }
            return response;
        }
        if response.status() == StatusCode::RANGE_NOT_SATISFIABLE {
            let error =
                json!({ "statusCode": "416", "error": "invalid_range", "message": "invalid range provided" });
            return (StatusCode::RANGE_NOT_SATISFIABLE, Json(error)).into_response();
        }
    }
    let error = json!({ "statusCode": "404", "error": "not_found", "message": "Object not found" });
    (StatusCode::BAD_REQUEST, Json(error)).into_response()
}

/// Returns the `content-disposition` for `?download` and `?download=<name>`, with which a browser saves the file.
fn disposition(query: &str) -> Option<HeaderValue> {
    let name = query.split('&').find_map(|pair| match pair.split_once('=') {
        Some(("download", name)) => Some(name),
        None if pair == "download" => Some(""),
        _ => None,
    })?;
    let text = match name {
        "" => "attachment;".to_owned(),
        name => format!("attachment; filename={name}; filename*=UTF-8''{name}"),
    };
    HeaderValue::try_from(text).ok()
}

async fn call(service: &S3Service, request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    // The whole body is read before an error response, because a client that is still sending doesn't read the response.
    let Ok(body) = axum::body::to_bytes(body, MAX_REQUEST).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    match service.call(http::Request::from_parts(parts, body.into())).await {
        Ok(response) => response.into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error:?}")).into_response(),
    }
}

/// Corrects bucket and key in signed requests, and enforces the buckets' limits.
#[derive(Clone)]
struct Rules {
    buckets: Arc<Buckets>,
    region: String,
}

impl Rules {
    /// Returns the real bucket and key.
    fn locate(&self, region: Option<&Region>, bucket: &str, key: &str) -> S3Result<(String, String)> {
        self.check_region(region)?;
        let path = key.strip_prefix(S3_KEY_PREFIX).filter(|_| bucket == S3_BUCKET);
        let (bucket, key) = path.and_then(|path| path.split_once('/')).ok_or(S3ErrorCode::NoSuchKey)?;
        Ok((bucket.to_owned(), key.to_owned()))
    }

    fn check_region(&self, region: Option<&Region>) -> S3Result<()> {
        let known =
            |region: &Region| region.as_str() == self.region || OTHER_REGIONS.contains(&region.as_str());
        if region.is_some_and(known) {
            return Ok(());
        }
        Err(s3_error!(AuthorizationHeaderMalformed, "the region must be {}", self.region))
    }
}

#[async_trait::async_trait]
impl S3Access for Rules {
    async fn check(&self, request: &mut S3AccessContext<'_>) -> S3Result<()> {
        if request.credentials().is_none() {
            return Err(s3_error!(AccessDenied, "Signature is required"));
        }
        match request.s3_op().name() {
            "PutObject" | "GetObject" | "HeadObject" | "DeleteObject" => Ok(()),
            other => Err(s3_error!(NotImplemented, "{other}")),
        }
    }

    async fn put_object(&self, request: &mut S3Request<PutObjectInput>) -> S3Result<()> {
        let input = &mut request.input;
        (input.bucket, input.key) = self.locate(request.region.as_ref(), &input.bucket, &input.key)?;
        let size = input.content_length.and_then(|size| u64::try_from(size).ok());
        self.buckets.check(&input.bucket, size.unwrap_or_default(), input.content_type.as_deref())
    }

    async fn get_object(&self, request: &mut S3Request<GetObjectInput>) -> S3Result<()> {
        let input = &mut request.input;
        (input.bucket, input.key) = self.locate(request.region.as_ref(), &input.bucket, &input.key)?;
        Ok(())
    }

    async fn head_object(&self, request: &mut S3Request<HeadObjectInput>) -> S3Result<()> {
        let input = &mut request.input;
        (input.bucket, input.key) = self.locate(request.region.as_ref(), &input.bucket, &input.key)?;
        Ok(())
    }

    async fn delete_object(&self, request: &mut S3Request<DeleteObjectInput>) -> S3Result<()> {
        let input = &mut request.input;
        (input.bucket, input.key) = self.locate(request.region.as_ref(), &input.bucket, &input.key)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signed_url_expires_at_its_time() {
        let now = "2026-01-15T10:10:00Z".parse().unwrap();
        let query =
            |date, expires| format!("X-Amz-Date={date}&X-Amz-Expires={expires}&X-Amz-SignedHeaders=host");
        assert!(!has_expired(&query("20260115T100000Z", "600"), now));
        assert!(has_expired(&query("20260115T100000Z", "599"), now));
        for other in [query("20260115T100000Z", "soon"), query("yesterday", "1"), "x-id=PutObject".to_owned()]
        {
            assert!(!has_expired(&other, now), "{other}");
        }
    }

    #[test]
    fn a_download_has_the_requested_name() {
        let shown = |query| disposition(query).map(|value| value.to_str().unwrap().to_owned());
        assert_eq!(shown("download").as_deref(), Some("attachment;"));
        assert_eq!(shown("t=1&download=").as_deref(), Some("attachment;"));
        assert_eq!(
            shown("download=a%20b.png").as_deref(),
            Some("attachment; filename=a%20b.png; filename*=UTF-8''a%20b.png")
        );
        assert_eq!(shown("downloads=1"), None);
    }
}
