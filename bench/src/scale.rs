//! Listing and paging in databases of three sizes, measured in turns. The time must not depend on the size.

use crate::lab::{Implementation, Lab};
use crate::round::round;
use crate::routes::{CONVERSATION, DEMO_CONVERSATION, event};
use crate::stats::median;
use anyhow::Context;
use chrono::{DateTime, SecondsFormat};
use serde::Serialize;

const ROUNDS: u32 = 7;

/// The start of 2026, in Unix seconds. fill.sql creates message n in second n of that year.
const NEW_YEAR: u64 = 1_767_225_600;

/// One kind of request, in the databases of all sizes.
#[derive(Serialize)]
pub(crate) struct Scale {
    pub(crate) what: &'static str,
    pub(crate) sizes: Vec<Size>,
    /// The median over rounds of the ratio of the p50 in the largest database to the p50 in the smallest.
    pub(crate) growth: f64,
}

/// The request in one of the databases.
#[derive(Serialize)]
pub(crate) struct Size {
    pub(crate) messages: u64,
    pub(crate) p50: f64,
}

/// Returns the sizes of the databases, in messages.
pub(crate) fn sizes(largest: u64) -> Vec<u64> {
    let mut sizes = vec![1_000, 100_000, largest];
    sizes.sort_unstable();
    sizes.dedup();
    sizes
}

/// Returns the name of the database with this number of messages.
pub(crate) fn database(messages: u64) -> String {
    format!("bench_{messages}")
}

struct Case {
    what: &'static str,
    function: &'static str,
    /// Returns request number k, for a database with this number of messages.
    request: fn(event: &str, messages: u64, k: u64) -> String,
}

const CASES: [Case; 8] = [
    Case {
        what: "list-conversations of a user who is in all",
        function: "list-conversations",
        request: |event, _, _| event.replace("&kind=order", ""),
    },
    Case {
        what: "list-messages, the newest 50 of half of all",
        function: "list-messages",
        request: |event, _, _| event.replace(DEMO_CONVERSATION, CONVERSATION),
    },
    Case {
        what: "list-messages, 50 from anywhere in them",
        function: "list-messages",
        request: |event, messages, k| {
            let before = before(messages, k).unwrap_or_default();
            event
                .replace(DEMO_CONVERSATION, CONVERSATION)
                .replace("\"limit=50\"", &format!("\"limit=50&before={before}\""))
        },
    },
    Case {
        what: "list-messages, 50 changes since anywhere in them",
        function: "list-messages",
        request: |event, messages, k| {
            let since = before(messages, k).unwrap_or_default();
            event
                .replace(DEMO_CONVERSATION, CONVERSATION)
                .replace("\"limit=50\"", &format!("\"limit=50&since={since}\""))
        },
    },
    Case {
        what: "list-conversations that are open, all but 3",
        function: "list-conversations",
        request: |event, _, _| event.replace("&kind=order", "&status=open"),
    },
    Case {
        what: "list-conversations that are closed, 3 of all",
        function: "list-conversations",
        request: |event, _, _| event.replace("&kind=order", "&status=closed"),
    },
    Case {
        what: "list-conversations that are unread, 3 of all",
        function: "list-conversations",
        request: |event, _, _| event.replace("&kind=order", "&unread=true"),
    },
    Case {
        what: "mark-read of everything",
        function: "mark-read",
        request: |event, _, k| {
            // The first request marks everything. Every second one names a message that was read long ago.
            let event = event.replace(DEMO_CONVERSATION, CONVERSATION);
            if k % 2 == 0 { event.replace("message_id", "_") } else { event }
        },
    },
];

/// Returns cursor number k. Cursors are spread over the whole history, except its first page.
fn before(messages: u64, k: u64) -> Option<String> {
    let second = 200 + k * 7_919 * 613 % (messages - 200);
    let time = DateTime::from_timestamp_secs(i64::try_from(NEW_YEAR + second).ok()?)?;
    Some(time.to_rfc3339_opts(SecondsFormat::Millis, true))
}

/// Measures all cases.
pub(crate) fn measure(lab: &Lab, sizes: &[u64]) -> anyhow::Result<Vec<Scale>> {
    for &messages in sizes {
        lab.run_sql(&database(messages), include_str!("scale.sql"))?;
    }
    CASES.iter().map(|case| measure_case(lab, sizes, case)).collect()
}

fn measure_case(lab: &Lab, sizes: &[u64], case: &Case) -> anyhow::Result<Scale> {
    let event = event(case.function)?;
    let mut functions = Vec::new();
    for &messages in sizes {
        let function = lab.start(Implementation::Ours, case.function, &lab.database(&database(messages))?)?;
        functions.push((messages, function, Vec::new(), 0..));
    }
    for _ in 0..lab.rounds(ROUNDS) {
        for (messages, function, p50s, k) in &mut functions {
            let events = k.map(|k| (case.request)(&event, *messages, k));
            p50s.push(round(function, events, 200)?.p50);
        }
    }
    let (_, _, smallest, _) = functions.first().context("sizes")?;
    let (_, _, largest, _) = functions.last().context("sizes")?;
    let growth = median(largest.iter().zip(smallest).map(|(largest, smallest)| largest / smallest));
    Ok(Scale {
        what: case.what,
        sizes: functions
            .into_iter()
            .map(|(messages, _, p50s, _)| Size { messages, p50: median(p50s) })
            .collect(),
        growth,
    })
}
