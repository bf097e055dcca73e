//! Benchmarks of the release binaries on a real Postgres: `make bench` runs them, docs/PERFORMANCE.md explains them.
//!
//! Prints the tables and writes target/bench/report.json. `BENCH_ROWS` sets how many messages the largest database
//! of the scale measurement has; `BASELINE` names a folder of another version's release binaries, to be measured too.

mod aims;
mod cold;
mod database;
mod function;
mod http;
mod lab;
mod noise;
mod pgbench;
mod plans;
mod report;
mod routes;
mod scale;
mod sends;
mod size;
mod stats;
mod table;
mod warm;
mod webhooks;

use anyhow::Context;
use lab::Lab;
use report::{Measured, Report};
use std::fs;

fn main() -> anyhow::Result<()> {
    let rows = match std::env::var("BENCH_ROWS") {
        Ok(rows) => rows.parse().context("BENCH_ROWS is a number of messages")?,
        Err(_) => 10_000_000,
    };
    let lab = Lab::open()?;
    let sizes = scale::sizes(rows);
    eprintln!("bench: making the databases");
    lab.make_database(lab::WARM, lab::WARM_ROWS)?;
    for &rows in &sizes {
        lab.make_database(&scale::database(rows), rows)?;
    }
    eprintln!("bench: warm requests");
    let (warm, noise) = warm::measure(&lab)?;
    eprintln!("bench: plans");
    let plans = plans::measure(&lab)?;
    eprintln!("bench: sends per second");
    let sends = sends::measure(&lab)?;
    eprintln!("bench: webhooks per second");
    let webhooks = webhooks::measure(&lab)?;
    eprintln!("bench: scale");
    let scale = scale::measure(&lab, &sizes)?;
    eprintln!("bench: cold starts");
    let cold = cold::measure(&lab)?;
    lab.drop_database(lab::WARM)?;
    for &rows in &sizes {
        lab.drop_database(&scale::database(rows))?;
    }
    let size = size::measure(&lab)?;
    let report = Report::from(Measured { warm, noise, plans, sends, webhooks, scale, cold, size });
    println!("{report}");
    fs::write(lab.folder.join("report.json"), serde_json::to_string_pretty(&report)?)?;
    Ok(())
}
