//! Benchmarks of the release binaries on a real Postgres. `make bench` runs them, docs/PERFORMANCE.md explains them.
//!
//! Prints tables and writes target/bench/report.json. [`Settings`](settings::Settings) lists the variables that make a run
//! shorter or longer.

mod aims;
mod cold;
mod database;
mod function;
mod hot;
mod http;
mod lab;
mod measured;
mod noise;
mod pgbench;
mod plans;
mod report;
mod round;
mod routes;
mod scale;
mod sends;
mod settings;
mod size;
mod stats;
mod table;
mod tokens;
mod warm;
mod webhooks;

use lab::Lab;
use measured::Measured;
use report::Report;
use settings::Settings;
use std::fs;
use std::time::Instant;

fn main() -> anyhow::Result<()> {
    let settings = Settings::from_env()?;
    let lab = Lab::open(&settings)?;
    let sizes = if settings.wants("scale") { scale::sizes(settings.rows) } else { Vec::new() };
    let start = Instant::now();
    lab.make_database(lab::WARM, lab::WARM_ROWS)?;
    for &rows in &sizes {
        lab.make_database(&scale::database(rows), rows)?;
    }
    eprintln!("bench: the databases took {:.0} s", start.elapsed().as_secs_f64());
    let measured = Measured {
        warm: settings.measure("warm", || warm::measure(&lab))?,
        noise: settings.measure("noise", || noise::measure(&lab).map(Some))?,
        tokens: settings.measure("tokens", || tokens::measure(&lab))?,
        plans: settings.measure("plans", || plans::measure(&lab))?,
        sends: settings.measure("sends", || sends::measure(&lab))?,
        hot: settings.measure("hot", || hot::measure(&lab, settings.sends))?,
        webhooks: settings.measure("webhooks", || webhooks::measure(&lab))?,
        scale: settings.measure("scale", || scale::measure(&lab, &sizes))?,
        cold: settings.measure("cold", || cold::measure(&lab))?,
        size: settings.measure("size", || size::measure(&lab))?,
    };
    lab.drop_database(lab::WARM)?;
    for &rows in &sizes {
        lab.drop_database(&scale::database(rows))?;
    }
    let report = Report::from(measured);
    println!("{report}");
    fs::write(lab.folder.join("report.json"), serde_json::to_string_pretty(&report)?)?;
    Ok(())
}
