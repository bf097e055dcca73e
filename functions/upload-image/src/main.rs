//! POST /v1/conversations/{id}/upload: stores an image, or signs its direct upload.

mod storage;

use bytes::Bytes;
use serde::Serialize;
use serde_json::Value;
use shared::db::Db;
use shared::fields::{Field, Name};
use shared::http::{Request, serve};
use shared::image::{self, ImageType, MAX_BYTES};
use shared::model::TenantId;
use shared::{Error, Result, telemetry};
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

struct Input {
    image: ImageType,
    content: Content,
}

enum Content {
    /// The file itself, which must fit into a Lambda request.
    File(Bytes),
    /// The length of the file that the caller will upload on its own.
    Direct(Size),
}

impl Input {
    async fn parse(request: &Request) -> Result<Self> {
        match image::without_parameters(request.content_type()).to_ascii_lowercase().as_str() {
            "multipart/form-data" => {
                let (image, bytes) =
                    image::from_multipart(request.content_type(), request.body().clone()).await?;
                Ok(Self { image, content: Content::File(bytes) })
            }
            "application/json" => {
                let mut body = request.json()?;
                let declared: Name = body.required("content_type")?;
                let size = body.required("size")?;
                Ok(Self { image: ImageType::declared(&declared)?, content: Content::Direct(size) })
            }
            _ => Err(Error::invalid("content-type must be multipart/form-data or application/json")),
        }
    }
}

/// A file's length in bytes.
struct Size(u64);

impl Field for Size {
    fn parse(name: &str, value: Value) -> Result<Self> {
        match whole_number(&value) {
            None | Some(0) => Err(Error::invalid(format!("{name} must be a whole number of at least 1"))),
            Some(bytes) if bytes > MAX_BYTES => Err(Error::FileTooLarge),
            Some(bytes) => Ok(Self(bytes)),
        }
    }
}

/// JSON doesn't tell 9 from 9.0, and some clients write the latter. What is beyond `u64` becomes its maximum.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the cast saturates")]
fn whole_number(value: &Value) -> Option<u64> {
    let whole = |number: &f64| number.fract() == 0.0 && *number >= 0.0;
    value.as_u64().or_else(|| value.as_f64().filter(whole).map(|number| number as u64))
}

#[derive(Serialize)]
struct Answer {
    url: String,
    path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    upload: Option<SignedPut>,
}

async fn upload_image(db: &Db, storage: &Storage, request: Request) -> Result<Answer> {
    let key = request.key()?;
    let Input { image, content } = db.admit(&key, Input::parse(&request).await).await?;
    let conversation = request.conversation();
    let row = db.row(&key, STATEMENT, &[(&conversation, Type::UUID)]).await?;
    let tenant: TenantId = row.try_get("tenant_id")?;
    let path = format!("{tenant}/{conversation}/{}.{}", Uuid::new_v4(), image.extension());
    let upload = match content {
        Content::File(bytes) => {
            storage.put(&path, image, bytes).await?;
            None
        }
        Content::Direct(Size(bytes)) => Some(storage.sign(&path, image, bytes).await?),
    };
    Ok(Answer { url: storage.public_url(&path), path, upload })
}
