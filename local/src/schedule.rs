//! The scheduler, which invokes the functions that the template schedules.

use crate::lambda::Functions;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

/// Invokes a function repeatedly. Each run begins `pause` after the end of the one before.
pub(crate) fn start(functions: Arc<Functions>, function: String, pause: Duration) {
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(pause).await;
            let event =
                json!({ "version": "0", "source": "aws.scheduler", "detail-type": "Scheduled Event" });
            let id = Uuid::new_v4().to_string();
            functions.invoke(&function, &id, event.to_string().into()).await; // it logs errors
        }
    });
}
