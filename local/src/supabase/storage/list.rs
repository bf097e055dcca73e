//! Lists of a bucket. Because the bucket is the last part of their path, s3s would take it for a file.

use super::{Buckets, Rules, S3_BUCKET, S3_KEY_PREFIX};
use axum::http::{Extensions, HeaderMap, Method, Uri, header};
use s3s::dto::{ListObjectsV2Input, ListObjectsV2Output};
use s3s::route::S3Route;
use s3s::xml::{Serialize, Serializer};
use s3s::{Body, S3, S3ErrorCode, S3Request, S3Response, S3Result, s3_error};
use s3s_fs::FileSystem;
use std::collections::HashMap;

/// The number of attempts to list files that come and go.
const ATTEMPTS: usize = 20;

/// Responds to `GET /storage/v1/s3/<bucket>?list-type=2&…`.
pub(super) struct List {
    pub(super) files: FileSystem,
    pub(super) rules: Rules,
}

impl List {
    /// Returns the bucket of a path that names a bucket alone.
    fn bucket<'a>(buckets: &Buckets, path: &'a str) -> Option<&'a str> {
        let rest = path.strip_prefix('/')?.strip_prefix(S3_BUCKET)?.strip_prefix('/')?;
        let bucket = rest.strip_prefix(S3_KEY_PREFIX)?.trim_end_matches('/');
        buckets.names().any(|name| name == bucket).then_some(bucket)
    }
}

#[async_trait::async_trait]
impl S3Route for List {
    fn is_match(&self, method: &Method, uri: &Uri, _: &HeaderMap, _: &mut Extensions) -> bool {
        method == Method::GET && Self::bucket(&self.rules.buckets, uri.path()).is_some()
    }

    async fn call(&self, request: S3Request<Body>) -> S3Result<S3Response<Body>> {
        self.rules.check_region(request.region.as_ref())?;
        let bucket =
            Self::bucket(&self.rules.buckets, request.uri.path()).ok_or(S3ErrorCode::NoSuchBucket)?;
        let query = request.uri.query().unwrap_or_default();
        let mut query: HashMap<_, _> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        if query.get("list-type").is_none_or(|kind| kind != "2") {
            return Err(s3_error!(NotImplemented, "only ListObjectsV2 is supported"));
        }
        let input = ListObjectsV2Input {
            bucket: bucket.to_owned(),
            prefix: query.remove("prefix"),
            start_after: query.remove("start-after"),
            max_keys: query.remove("max-keys").and_then(|number| number.parse().ok()),
            ..ListObjectsV2Input::default()
        };
        let page = page(&self.files, &request.map_input(|_| input)).await?;
        let mut xml = Vec::new();
        let mut serializer = Serializer::new(&mut xml);
        let written = serializer.decl().and_then(|()| page.serialize(&mut serializer));
        written.map_err(|error| s3_error!(error, InternalError))?;
        let mut response = S3Response::new(Body::from(xml));
        response.headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/xml"));
        Ok(response)
    }
}

/// Lists files. An attempt fails if a file is removed or renamed meanwhile, as that of an upload is.
async fn page(files: &FileSystem, request: &S3Request<ListObjectsV2Input>) -> S3Result<ListObjectsV2Output> {
    let mut more_attempts = 1..ATTEMPTS;
    loop {
        match files.list_objects_v2(request.clone()).await {
            Err(error) if *error.code() == S3ErrorCode::InternalError && more_attempts.next().is_some() => {}
            page => return page.map(|response| response.output),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test]
    async fn files_may_be_removed_during_a_list() {
        let folder = std::env::temp_dir().join(format!("local-list-{}", std::process::id()));
        let bucket = folder.join("chat");
        std::fs::create_dir_all(&bucket).unwrap();
        let files = FileSystem::new(&folder).unwrap();
        let request = S3Request {
            input: ListObjectsV2Input { bucket: "chat".to_owned(), ..ListObjectsV2Input::default() },
            method: Method::GET,
            uri: Uri::from_static("/chat"),
            headers: HeaderMap::new(),
            extensions: Extensions::new(),
            credentials: None,
            region: None,
            service: None,
            trailing_headers: None,
        };
        let file = bucket.join("a.png");
        let changes = std::thread::spawn(move || {
            for _ in 0..1_000 {
                std::fs::write(&file, "").unwrap();
                std::thread::sleep(Duration::from_micros(100));
                std::fs::remove_file(&file).unwrap();
                std::thread::sleep(Duration::from_micros(100));
            }
        });
        while !changes.is_finished() {
            page(&files, &request).await.unwrap();
        }
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
