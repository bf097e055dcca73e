//! POST /v1/conversations/{id}/upload: stores an image, or signs its direct upload.

mod input;
mod storage;

use input::{Content, Input, Size};
use serde::Serialize;
use shared::db::Db;
use shared::http::{Request, serve};
use shared::model::TenantId;
use shared::{Result, telemetry};
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
