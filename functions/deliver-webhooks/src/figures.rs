//! The figures that an invocation reports.

use serde_json::json;
use shared::webhook::{Attempt, Recorded};
use shared::{config, telemetry};

/// The work that an invocation has done, and the work that is left.
#[derive(Default)]
pub struct Figures {
    delivered: usize,
    failed: usize,
    /// Dead letters and disabled endpoints.
    pub recorded: Recorded,
    /// The seconds since the first due event became due, as of the last look.
    pub overdue_seconds: f64,
    /// The age of the oldest waiting event, in seconds.
    pub backlog_age: f64,
}

impl Figures {
    /// Counts the outcomes of attempts.
    pub fn count(&mut self, attempts: &[Attempt]) {
        let made = attempts.iter().filter(|attempt| attempt.was_made()).count();
        let succeeded = attempts.iter().filter(|attempt| attempt.succeeded()).count();
        self.delivered += succeeded;
        self.failed += made - succeeded;
    }

    /// Prints the figures in the embedded metric format, from which `CloudWatch` makes the metrics for the template's
    /// alarms.
    pub fn print(&self) {
        let metrics = [
            ("webhook_backlog_age", "Seconds"),
            ("webhook_dead_letters", "Count"),
            ("webhook_endpoints_disabled", "Count"),
        ];
        let line = json!({
            "_aws": telemetry::embedded_metrics(&["stack"], &metrics),
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
