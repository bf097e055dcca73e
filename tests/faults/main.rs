//! Tests that inject faults into the local cloud they run in. They therefore run one at a time: `make test`.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod cloud;
mod routes;
mod wire;

mod broadcasts;
mod erasures;
mod freezing;
mod life;
mod locks;
mod outages;
mod releases;
mod retries;
mod round_trips;
mod usage;
mod webhooks;
