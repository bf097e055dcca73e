//! `$default`: responds with the API's 404 to requests that match no other route.

use shared::http::{Request, serve};
use shared::{Error, Result, telemetry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    telemetry::init()?;
    serve(route_not_found).await
}

async fn route_not_found(_: Request) -> Result<()> {
    Err(Error::NotFound)
}
