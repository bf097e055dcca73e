//! Supabase Storage: its S3 endpoint, and the public addresses of what is stored there.
//!
//! Objects are files under `DATA_DIR`, kept by s3s-fs. Buckets and their limits are those of supabase/config.toml.

mod buckets;

pub(crate) use buckets::Buckets;

use anyhow::anyhow;
use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::{self, Response, StatusCode, Uri};
use axum::response::{IntoResponse, Json};
use axum::routing::{any, get};
use s3s::access::{S3Access, S3AccessContext};
use s3s::auth::SimpleAuth;
use s3s::dto::{DeleteObjectInput, GetObjectInput, HeadObjectInput, PutObjectInput};
use s3s::region::Region;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{S3ErrorCode, S3Request, S3Result, s3_error};
use s3s_fs::FileSystem;
use serde_json::json;
use std::sync::Arc;

/// S3's path below the project's address. It has to stay in the requests, because signatures cover it; s3s takes its
/// first segment for the bucket and the rest for the key, and [`Rules`] put that right.
const S3_BUCKET: &str = "storage";
const S3_KEY_PREFIX: &str = "v1/s3/";

/// More than any bucket's limit, in bytes.
const MAX_REQUEST: usize = 64 * 1024 * 1024;

/// What signs requests to the S3 endpoint.
#[derive(Clone)]
pub(crate) struct Credentials {
    pub(crate) region: String,
    pub(crate) access_key_id: String,
    pub(crate) secret_access_key: String,
}

/// The store.
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
        signed.set_access(Rules { buckets: buckets.clone(), region: credentials.region.clone() });
        let public = S3ServiceBuilder::new(files()?).build();
        Ok(Self { signed: signed.build(), public, buckets })
    }

    /// Its routes.
    pub(crate) fn router(self) -> Router {
        Router::new()
            .route("/storage/v1/s3/{*path}", any(s3))
            .route("/storage/v1/object/public/{bucket}/{*path}", get(public_object))
            .with_state(self)
    }
}

async fn s3(State(storage): State<Storage>, request: Request) -> Response<Body> {
    answer(&storage.signed, request).await
}

async fn public_object(
    State(storage): State<Storage>,
    Path((bucket, path)): Path<(String, String)>,
    mut request: Request,
) -> Response<Body> {
    let target = Uri::try_from(format!("/{bucket}/{path}"));
    if let (true, Ok(target)) = (storage.buckets.is_public(&bucket), target) {
        *request.uri_mut() = target;
        let response = answer(&storage.public, request).await;
        if response.status().is_success() {
            return response;
        }
    }
    let error = json!({ "statusCode": "404", "error": "not_found", "message": "Object not found" });
    (StatusCode::BAD_REQUEST, Json(error)).into_response()
}

async fn answer(service: &S3Service, request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    // All of it before anything is refused: a caller that is still sending doesn't hear the answer.
    let Ok(body) = axum::body::to_bytes(body, MAX_REQUEST).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    match service.call(http::Request::from_parts(parts, body.into())).await {
        Ok(response) => response.into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error:?}")).into_response(),
    }
}

/// Puts bucket and key right in signed requests, and enforces the buckets' limits.
struct Rules {
    buckets: Arc<Buckets>,
    region: String,
}

impl Rules {
    /// The real bucket and key.
    fn locate(&self, region: Option<&Region>, bucket: &str, key: &str) -> S3Result<(String, String)> {
        if region.is_none_or(|region| region.as_str() != self.region) {
            return Err(s3_error!(AuthorizationHeaderMalformed, "the region is {}", self.region));
        }
        let path = key.strip_prefix(S3_KEY_PREFIX).filter(|_| bucket == S3_BUCKET);
        let (bucket, key) = path.and_then(|path| path.split_once('/')).ok_or(S3ErrorCode::NoSuchKey)?;
        Ok((bucket.to_owned(), key.to_owned()))
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
