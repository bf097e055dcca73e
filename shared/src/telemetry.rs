//! Logs: one JSON object a line on standard output, where Lambda collects them, with the request id in its `span`.

/// Installs the subscriber. Every `main` calls it first.
pub fn init() {
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_span_list(false)
        .with_target(false)
        .with_max_level(tracing::Level::INFO)
        .init();
}
