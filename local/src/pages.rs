//! The pages of `make dev`: the demo at /, webhook deliveries at /deliveries and the API reference at /docs. They aren't part
//! of the API. On AWS, and here without PAGES=1, their paths go to `$default`, which responds with 404.

use crate::options::project;
use axum::Router;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::routing::{get, get_service};
use tower_http::services::{ServeDir, ServeFile};
use tower_http::set_header::SetResponseHeaderLayer;

/// The Content-Security-Policy of the reference. Its library writes styles into the page and has images as data.
const REFERENCE_POLICY: &str = "default-src 'none'; script-src 'self'; worker-src blob:; style-src 'self' 'unsafe-inline'; \
     img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The hash of the demo's only inline script, its import map. After a change, the browser's console shows the new hash.
const IMPORT_MAP: &str = "'sha256-t+775I6VXEudc56t8+ss3Huw55JqDdKctZl6oQVXj9g='";

/// Returns the routes of the pages. `services` are the routes that the demo and the page of deliveries call besides the API.
/// The demo may call the API and Supabase, load images from anywhere, because messages contain them, and run only its own
/// scripts.
pub(crate) fn router<S: Clone + Send + Sync + 'static>(supabase_url: &str, services: Router<S>) -> Router<S> {
    let file = |path| get_service(ServeFile::new(project().join(path)));
    let folder = || get_service(ServeDir::new(project()));
    let socket_url = supabase_url.replacen("http", "ws", 1);
    let demo_policy = format!(
        "default-src 'none'; script-src 'self' {IMPORT_MAP}; style-src 'self'; img-src 'self' blob: http: https:; \
         connect-src 'self' {supabase_url} {socket_url}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    let demo = Router::new()
        .route("/", file("demo/index.html"))
        .route("/deliveries", file("demo/deliveries.html"))
        .route("/demo/{*path}", folder())
        .route("/clients/javascript/dist/{*path}", folder())
        .merge(services);
    let reference = Router::new()
        .route("/docs", file("demo/reference.html"))
        .route("/docs/scalar.js", file(".tools/scalar/standalone.js"))
        .route("/docs/openapi.json", get(openapi))
        .route("/docs/openapi.yaml", folder())
        .route("/docs/quickstart/{*path}", folder())
        .route("/llms.txt", file("docs/llms.txt"));
    with_headers(demo, &demo_policy).merge(with_headers(reference, REFERENCE_POLICY))
}

/// Returns docs/openapi.yaml as JSON, in its own order.
async fn openapi() -> Result<([(HeaderName, &'static str); 1], String), (StatusCode, String)> {
    let convert = || -> anyhow::Result<String> {
        let text = std::fs::read_to_string(project().join("docs/openapi.yaml"))?;
        Ok(serde_json::to_string(&yaml_serde::from_str::<yaml_serde::Value>(&text)?)?)
    };
    match convert() {
        Ok(json) => Ok(([(header::CONTENT_TYPE, "application/json")], json)),
        Err(error) => Err((StatusCode::INTERNAL_SERVER_ERROR, format!("docs/openapi.yaml: {error:#}"))),
    }
}

/// Adds headers: a Content-Security-Policy, and one that makes browsers check for a newer file.
fn with_headers<S: Clone + Send + Sync + 'static>(pages: Router<S>, policy: &str) -> Router<S> {
    let set = |name: HeaderName, value: &str| {
        SetResponseHeaderLayer::overriding(name, HeaderValue::try_from(value).ok())
    };
    pages
        .layer(set(header::CONTENT_SECURITY_POLICY, policy))
        .layer(set(header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .layer(set(header::CACHE_CONTROL, "no-cache"))
}
