//! What an invocation reports of itself.

use serde_json::json;
use shared::webhook::{Attempt, Recorded};
use shared::{config, telemetry};

/// What an invocation has done, and left to do.
#[derive(Default)]
pub struct Figures {
    delivered: usize,
    failed: usize,
    /// What was given up and disabled.
    pub recorded: Recorded,
    /// For how long, at the last look, the first of the events that are due had been so.
    pub overdue_seconds: f64,
    /// For how long the first of all waiting events has waited.
    pub backlog_age: f64,
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
        let metrics = [
            ("webhook_backlog_age", "Seconds"),
            ("webhook_dead_letters", "Count"),
            ("webhook_endpoints_disabled", "Count"),
        ];
        let line = json!({
            "_aws": telemetry::embedded(&["stack"], &metrics),
            "stack": config::optional("STACK").unwrap_or_default(),
            "webhook_backlog_age": self.backlog_age,
            "webhook_dead_letters": self.recorded.dead,
            "webhook_endpoints_disabled": self.recorded.disabled,
            "overdue": self.overdue_seconds,
            "delivered": self.delivered,
            "failed": self.failed,
        });
        println!("{line}");
    }
}
