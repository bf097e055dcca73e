//! The noise of the machine, from measuring the same function twice, and the shortest times that any request can have.

use crate::lab::{Implementation, Lab, NO_DATABASE, WARM};
use crate::pgbench::Protocol;
use crate::round::{ROUNDS, round};
use crate::stats::{Sample, median};
use serde::Serialize;

/// Noise and lower bounds of one run.
#[derive(Serialize)]
pub(crate) struct Noise {
    /// A function that only returns a text.
    pub(crate) hello: Sample,
    /// The ratio of the p50s of two consecutive rounds of it: 1 on an idle machine.
    pub(crate) spread: Spread,
    /// `select 1` by pgbench: a round trip.
    pub(crate) round_trip: Sample,
    /// An update of the only row of a table by pgbench: a round trip and a commit, which flushes to disk.
    pub(crate) commit: Sample,
}

/// The range of the ratios.
#[derive(Serialize)]
pub(crate) struct Spread {
    pub(crate) min: f64,
    pub(crate) median: f64,
    pub(crate) max: f64,
}

/// Measures all of them, in turns.
pub(crate) fn measure(lab: &Lab) -> anyhow::Result<Noise> {
    lab.run_sql(
        WARM,
        "create table public.floor as select 0 as n; grant select, update on public.floor to public",
    )?;
    let event = include_str!("../../events/get-config.json");
    let mut function = lab.start(Implementation::Ours, "hello", NO_DATABASE)?;
    let mut again = || round(&mut function, std::iter::repeat(event.to_owned()), 200);
    let pgbench = |statement| lab.pgbench_round(Protocol::Prepared, statement, 0);
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
