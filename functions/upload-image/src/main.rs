//! POST /v1/conversations/{id}/upload: stores an image, or signs its direct upload.

mod storage;

use bytes::Bytes;
use serde::Serialize;
use serde_json::Value;
use shared::db::Db;
use shared::fields::{Field, Name};
use shared::http::{Request, serve};
use shared::image::{self, ImageType, MAX_BYTES};
use shared::model::{TenantId, Timestamp};
use shared::{Error, Result, telemetry};
use std::collections::BTreeMap;
use storage::{SignedPut, Storage};
use tokio_postgres::types::Type;
use uuid::Uuid;

const STATEMENT: &str = include_str!("upload-image.sql");

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    telemetry::init();
    let storage = Storage::from_env()?;
    let db = Db::connect().await?;
    serve(|request| upload_image(&db, &storage, request)).await
}

enum Input {
    /// The file itself, which must fit into a Lambda request.
    File(ImageType, Bytes),
    /// What the caller will upload on its own.
    Direct(ImageType, u64),
}

impl Input {
    async fn parse(request: &Request) -> Result<Self> {
        match request
            .content_type()
            .split(';')
            .next()
            .unwrap_or_default()
            .trim()
            .to_ascii_lowercase()
            .as_str()
        {
            "multipart/form-data" => {
                let (image, bytes) = image::from_multipart(request.content_type(), request.body()).await?;
                Ok(Self::File(image, bytes))
            }
            "application/json" => {
                let mut body = request.json()?;
                let content_type: Name = body.required("content_type")?;
                let Size(bytes) = body.required("size")?;
                Ok(Self::Direct(ImageType::declared(&content_type)?, bytes))
            }
            _ => Err(Error::invalid("content-type must be multipart/form-data or application/json")),
        }
    }
}

/// A file's length in bytes.
struct Size(u64);

impl Field for Size {
    fn parse(name: &str, value: Value) -> Result<Self> {
        match value.as_u64() {
            None | Some(0) => Err(Error::invalid(format!("{name} must be a whole number of at least 1"))),
            Some(bytes) if bytes > MAX_BYTES => Err(Error::FileTooLarge),
            Some(bytes) => Ok(Self(bytes)),
        }
    }
}

#[derive(Serialize)]
struct Answer {
    url: String,
    path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    upload: Option<Upload>,
}

#[derive(Serialize)]
struct Upload {
    method: &'static str,
    url: String,
    headers: BTreeMap<String, String>,
    expires_at: Timestamp,
}

async fn upload_image(db: &Db, storage: &Storage, request: Request) -> Result<Answer> {
    let key = request.key()?;
    let input = db.admit(&key, Input::parse(&request).await).await?;
    let conversation = request.conversation();
    let row = db.row(&key, STATEMENT, &[(&conversation, Type::UUID)]).await?;
    let tenant: TenantId = row.try_get("tenant_id")?;
    let path = |image: ImageType| format!("{tenant}/{conversation}/{}.{}", Uuid::new_v4(), image.extension());
    let (path, upload) = match input {
        Input::File(image, bytes) => {
            let path = path(image);
            storage.put(&path, image, bytes).await?;
            (path, None)
        }
        Input::Direct(image, bytes) => {
            let path = path(image);
            let SignedPut { url, headers, expires_at } = storage.sign(&path, image, bytes).await?;
            (path, Some(Upload { method: "PUT", url, headers, expires_at: expires_at.into() }))
        }
    };
    Ok(Answer { url: storage.public_url(&path), path, upload })
}
