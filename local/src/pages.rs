//! The pages of `make dev`: the demo at /, the API reference at /docs. Files of this project, and no part of the API: on
//! AWS, and here without PAGES=1, their paths lead to `$default`, which answers 404.

use crate::config::project;
use axum::Router;
use axum::http::{HeaderName, HeaderValue, header};
use axum::routing::get_service;
use tower_http::services::{ServeDir, ServeFile};
use tower_http::set_header::SetResponseHeaderLayer;

/// What the reference's library needs: it writes styles into the page, and searches in a worker. It would show its maker's
/// logo from elsewhere, too, which isn't needed.
const REFERENCE_POLICY: &str = "default-src 'none'; script-src 'self'; worker-src blob:; style-src 'self' 'unsafe-inline'; \
     img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The one script that is in the demo's page and no file: its import map. The browser's console shows its hash after a change.
const IMPORT_MAP: &str = "'sha256-t+775I6VXEudc56t8+ss3Huw55JqDdKctZl6oQVXj9g='";

/// The routes of the pages. The demo may talk to the API and to Supabase, show images from anywhere, as messages do, and
/// run nobody's scripts but its own.
pub(crate) fn router<S: Clone + Send + Sync + 'static>(supabase_url: &str) -> Router<S> {
    let file = |path| get_service(ServeFile::new(project().join(path)));
    let folder = || get_service(ServeDir::new(project()));
    let socket_url = supabase_url.replacen("http", "ws", 1);
    let demo_policy = format!(
        "default-src 'none'; script-src 'self' {IMPORT_MAP}; style-src 'self'; img-src 'self' blob: http: https:; \
         connect-src 'self' {supabase_url} {socket_url}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    let demo = Router::new()
        .route("/", file("demo/index.html"))
        .route("/demo/{*path}", folder())
        .route("/clients/javascript/dist/{*path}", folder());
    let reference =
        Router::new().route("/docs", file("demo/reference.html")).route("/docs/openapi.yaml", folder());
    guarded(demo, &demo_policy).merge(guarded(reference, REFERENCE_POLICY))
}

/// Adds headers: a policy against scripts from elsewhere, and never to show yesterday's file.
fn guarded<S: Clone + Send + Sync + 'static>(pages: Router<S>, policy: &str) -> Router<S> {
    let set = |name: HeaderName, value: &str| {
        SetResponseHeaderLayer::overriding(name, HeaderValue::try_from(value).ok())
    };
    pages
        .layer(set(header::CONTENT_SECURITY_POLICY, policy))
        .layer(set(header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .layer(set(header::CACHE_CONTROL, "no-cache"))
}
