//! POST /v1/conversations/{id}/upload: stores an image, or signs its direct upload.

mod input;
mod storage;

use input::{Content, Input, Size};
use serde::Serialize;
use shared::db::Route;
use shared::http::{Request, serve};
use shared::model::TenantId;
use shared::{Result, telemetry};
use storage::{SignedPut, Storage};
use uuid::Uuid;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    telemetry::init()?;
    let storage = Storage::from_env()?;
    let route = Route::connect(include_str!("upload-image.sql")).await?;
    serve(|request| upload_image(&route, &storage, request)).await
}

#[derive(Serialize)]
struct Response {
    url: String,
    path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    upload: Option<SignedPut>,
}

async fn upload_image(route: &Route, storage: &Storage, request: Request) -> Result<Response> {
    let credential = request.credential()?;
    let Input { image, content } = route.admit(&credential, Input::parse(&request).await).await?;
    let conversation = request.conversation_id();
    let row = route.row(&credential, &[("conversation_id", &conversation)]).await?;
    let tenant: TenantId = row.try_get("tenant_id")?;
    let path = format!("{tenant}/{conversation}/{}.{}", Uuid::new_v4(), image.extension());
    let upload = match content {
        Content::File(bytes) => {
            storage.put(&path, image, bytes).await?;
            None
        }
        Content::Direct(Size(bytes)) => Some(storage.sign(&path, image, bytes).await?),
    };
    Ok(Response { url: storage.public_url(&path), path, upload })
}
