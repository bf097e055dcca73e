//! How far the machine itself moves: the same thing measured twice; and the floors that nothing can go below.

use crate::lab::{Lab, Maker, NO_DATABASE, WARM};
use crate::pgbench::Protocol;
use crate::stats::{Sample, median};
use crate::warm::{ROUNDS, round};
use serde::Serialize;

/// The machine, as this run found it.
#[derive(Serialize)]
pub(crate) struct Noise {
    /// A function that does nothing.
    pub(crate) hello: Sample,
    /// The p50 of one round of it to the p50 of the next: 1 on a quiet machine.
    pub(crate) spread: Spread,
    /// pgbench's `select 1`: the round trip.
    pub(crate) round_trip: Sample,
    /// pgbench's update of one row in a table of one row: the round trip and the commit's flush to the disk.
    pub(crate) commit: Sample,
}

/// Where ratios of like to like lay.
#[derive(Serialize)]
pub(crate) struct Spread {
    pub(crate) min: f64,
    pub(crate) median: f64,
    pub(crate) max: f64,
}

/// Measures them in turns.
pub(crate) fn measure(lab: &Lab) -> anyhow::Result<Noise> {
    lab.run_sql(
        WARM,
        "create table public.floor as select 0 as n; grant select, update on public.floor to public",
    )?;
    let event = include_str!("../../events/get-config.json");
    let mut function = lab.start(Maker::Ours, "hello", NO_DATABASE)?;
    let mut again = || round(&mut function, std::iter::repeat(event.to_owned()), 200);
    let pgbench = |statement| lab.yardstick(Protocol::Prepared, statement, 0);
    let (mut hello, mut ratios, mut round_trip, mut commit) = (vec![], vec![], vec![], vec![]);
    for _ in 0..lab.rounds(ROUNDS) {
        let (one, other) = (again()?, again()?);
        ratios.push(other.p50 / one.p50);
        hello.extend([one, other]);
        round_trip.push(pgbench("select 1")?);
        commit.push(pgbench("update public.floor set n = n + 1")?);
    }
    Ok(Noise {
        hello: Sample::median(&hello),
        spread: Spread {
            min: ratios.iter().copied().fold(f64::INFINITY, f64::min),
            median: median(ratios.iter().copied()),
            max: ratios.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        },
        round_trip: Sample::median(&round_trip),
        commit: Sample::median(&commit),
    })
}
