//! What an invocation reports of itself.

use serde_json::json;
use shared::webhook::Attempt;
use shared::{config, telemetry};

/// What an invocation has done, and left to do.
#[derive(Default)]
pub struct Figures {
    delivered: usize,
    failed: usize,
    /// Given up for good.
    pub dead: i64,
    /// For how long, at the last look, the first of the events that are due had been so.
    pub oldest_due_seconds: f64,
}

impl Figures {
    /// Counts what came of attempts.
    pub fn count(&mut self, attempts: &[Attempt]) {
        let made = attempts.iter().filter(|attempt| attempt.was_made()).count();
        let succeeded = attempts.iter().filter(|attempt| attempt.succeeded()).count();
        self.delivered += succeeded;
        self.failed += made - succeeded;
    }

    /// Prints them in the embedded metric format, of which `CloudWatch` makes what the template's alarms watch.
    pub fn print(&self) {
        let metrics = [("webhook_backlog_age", "Seconds"), ("webhook_dead_letters", "Count")];
        let line = json!({
            "_aws": telemetry::embedded(&["stack"], &metrics),
            "stack": config::optional("STACK").unwrap_or_default(),
            "webhook_backlog_age": self.oldest_due_seconds,
            "webhook_dead_letters": self.dead,
            "delivered": self.delivered,
            "failed": self.failed,
        });
        println!("{line}");
    }
}
