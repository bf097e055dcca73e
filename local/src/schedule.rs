//! The scheduler: invokes the functions that the template schedules, one run after the other.

use crate::lambda::Functions;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

/// Invokes a function again and again, with pauses of `every` between.
pub(crate) fn start(functions: Arc<Functions>, function: String, every: Duration) {
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(every).await;
            let event =
                json!({ "version": "0", "source": "aws.scheduler", "detail-type": "Scheduled Event" });
            let id = Uuid::new_v4().to_string();
            functions.invoke(&function, &id, event.to_string().into()).await; // which logs what goes wrong
        }
    });
}
