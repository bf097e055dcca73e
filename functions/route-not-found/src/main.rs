//! `$default`: whatever no other route takes is 404, in the API's own words.

use shared::http::{Request, serve};
use shared::{Error, Result, telemetry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    telemetry::init();
    serve(route_not_found).await
}

async fn route_not_found(_: Request) -> Result<()> {
    Err(Error::NotFound)
}
