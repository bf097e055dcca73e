//! The routes behind the page of webhook deliveries: the outbox of all tenants, newest first, and a switch that makes the demo
//! tenant's receiver fail.

use crate::postgres;
use crate::webhook_receiver::{ENDPOINT, Receiver};
use anyhow::Context;
use axum::Router;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Json;
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::Ordering;

struct Page {
    database_url: String,
    receiver: Arc<Receiver>,
}

#[derive(Deserialize)]
struct Change {
    fails: bool,
}

/// Returns the routes.
pub(crate) fn router<S>(database_url: &str, receiver: Arc<Receiver>) -> Router<S> {
    Router::new()
        .route("/deliveries/latest", get(latest))
        .route("/deliveries/receiver", post(set_receiver))
        .with_state(Arc::new(Page { database_url: database_url.to_owned(), receiver }))
}

async fn latest(State(page): State<Arc<Page>>) -> Result<Json<Value>, StatusCode> {
    match page.deliveries().await {
        Ok(deliveries) => {
            let fails = page.receiver.fails.load(Ordering::Relaxed);
            Ok(Json(json!({ "fails": fails, "deliveries": deliveries })))
        }
        Err(_) => Err(StatusCode::SERVICE_UNAVAILABLE),
    }
}

async fn set_receiver(State(page): State<Arc<Page>>, Query(change): Query<Change>) -> StatusCode {
    page.receiver.fails.store(change.fails, Ordering::Relaxed);
    StatusCode::NO_CONTENT
}

impl Page {
    async fn deliveries(&self) -> anyhow::Result<Vec<Value>> {
        let rows =
            postgres::connect(&self.database_url).await?.query(include_str!("deliveries.sql"), &[]).await?;
        rows.iter().map(|row| self.with_signature(row.try_get(0)?)).collect()
    }

    /// Adds whether the signature was valid. Only the demo tenant's receiver knows.
    fn with_signature(&self, delivery: &str) -> anyhow::Result<Value> {
        let mut delivery: Value = serde_json::from_str(delivery)?;
        let fields = delivery.as_object_mut().context("an object")?;
        let text = |name| fields.get(name).and_then(Value::as_str).unwrap_or_default();
        let valid = (text("endpoint_id") == ENDPOINT).then(|| self.receiver.signature(text("event_id")));
        fields.insert("signature".to_owned(), json!(valid.flatten()));
        Ok(delivery)
    }
}
