//! Support for the suites in tests/api and tests/faults: a tenant for each test, requests and responses, channels, receivers
//! of webhooks, functions' processes, and the checks that all routes share.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    clippy::return_self_not_must_use,
    reason = "tests"
)]

pub mod channel;
pub mod chat;
pub mod checks;
pub mod command_line;
pub mod database;
pub mod document;
pub mod images;
pub mod lambda;
pub mod receiver;
pub mod relay;
pub mod request;
pub mod response;
pub mod token_key;

pub use channel::Channel;
pub use chat::Chat;
pub use database::Database;
pub use document::Document;
pub use lambda::Function;
pub use receiver::{Receiver, Reply};
pub use request::Request;
pub use response::{Response, assert_keys, assert_time};

use std::io::Write;
use std::time::Duration;

/// How long tests wait for an event that must come. It is long, because other tests may use the processors too.
pub const TIMEOUT: Duration = Duration::from_mins(1);

/// Returns a setting of the local cloud that the suite runs in. Without it there is nothing to test, so the run ends.
pub fn setting(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| {
        // Not eprintln!, which the test runner holds back until the test is over.
        let _ = writeln!(
            std::io::stderr(),
            "{name} is not set: the suite runs inside the local cloud. Start it with `make test`."
        );
        std::process::exit(1)
    })
}

/// Whether the local cloud enforces the size limits of Lambda and API Gateway.
pub fn aws_limits() -> bool {
    std::env::var("AWS_LIMITS").is_ok_and(|value| value == "1")
}
