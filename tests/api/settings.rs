//! Settings from the environment: a function with an invalid one stops at its start, and its error says what is valid.

use crate::support::Function;

#[tokio::test]
async fn a_flag_is_true_or_false() {
    for (function, flag) in [
        ("deliver-webhooks", "WEBHOOK_ALLOW_PRIVATE"),
        ("get-config", "DATABASE_NAMED_STATEMENTS"),
        ("get-config", "METRICS"),
        ("get-config", "REALTIME_PRIVATE"),
        ("send-message", "REALTIME_INBOX"),
    ] {
        for value in ["1", "yes", "True", "false "] {
            let settings = [(flag, value), ("WEBHOOK_RETENTION_DAYS", "30")];
            let error = Function::start_up_error(function, &settings).await;
            assert!(error.contains(&format!("{flag} must be `true` or `false`")), "{error}");
        }
    }
}

#[tokio::test]
async fn a_retention_is_a_number_of_days() {
    for value in ["soon", "-1", "NaN", "inf"] {
        let error = Function::start_up_error("deliver-webhooks", &[("WEBHOOK_RETENTION_DAYS", value)]).await;
        assert!(error.contains("WEBHOOK_RETENTION_DAYS must be a number of days"), "{error}");
    }
}
