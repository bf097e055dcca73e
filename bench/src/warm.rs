//! Warm requests: each function's latency, CPU time and memory, next to pgbench running the function's statement.

use crate::function::Function;
use crate::lab::{Lab, WARM};
use crate::noise::{self, Noise};
use crate::routes::{ROUTES, Route};
use crate::stats::{Sample, micros};
use serde::Serialize;

/// Function and pgbench take turns this many times, so that drift of the machine meets both.
pub(crate) const ROUNDS: u32 = 11;

/// Requests in a round, after those that warm up.
pub(crate) const REQUESTS: u32 = 400;
pub(crate) const WARM_UP: u32 = 20;

/// What one route's requests cost.
#[derive(Serialize)]
pub(crate) struct Warm {
    pub(crate) route: &'static str,
    pub(crate) function: Sample,
    pub(crate) pgbench: Option<Sample>,
    /// The median over rounds of function to pgbench.
    pub(crate) ratio: Option<Sample>,
    /// What the p50 of `ratio` may be at most.
    pub(crate) aim: f64,
    pub(crate) peak_memory_kib: u64,
}

/// Measures all routes, and the noise in between.
pub(crate) fn measure(lab: &Lab) -> anyhow::Result<(Vec<Warm>, Noise)> {
    let routes = ROUTES.iter().map(|route| measure_route(lab, route)).collect::<Result<_, _>>()?;
    Ok((routes, noise::measure(lab)?))
}

fn measure_route(lab: &Lab, route: &Route) -> anyhow::Result<Warm> {
    let url = lab.database(WARM)?;
    let event = route.event()?;
    let statement = route.statement()?;
    let mut function = lab.start(route.name, &url)?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    let mut n = route.first..;
    for _ in 0..ROUNDS {
        let events = n.by_ref().map(|n| route.request(&event, n));
        ours.push(round(&mut function, events, route.status)?);
        if let Some(statement) = &statement {
            let first = n.start;
            theirs.push(lab.pgbench.run(&url, statement, first, REQUESTS, WARM_UP)?);
            n.start += u64::from(WARM_UP + REQUESTS);
        }
    }
    let ratios: Vec<_> = ours.iter().zip(&theirs).map(|(ours, theirs)| ours.ratio(theirs)).collect();
    let compared = statement.is_some();
    Ok(Warm {
        route: route.name,
        function: Sample::median(&ours),
        pgbench: compared.then(|| Sample::median(&theirs)),
        ratio: compared.then(|| Sample::median(&ratios)),
        aim: route.aim,
        peak_memory_kib: function.peak_memory()?,
    })
}

/// Sends a round's events, each when the one before is done with.
pub(crate) fn round(
    function: &mut Function,
    mut events: impl Iterator<Item = String>,
    status: u16,
) -> anyhow::Result<Sample> {
    let mut request = |function: &mut Function| {
        let (_, answer) = function.invoke(&events.next().unwrap_or_default())?;
        answer.expect(status)?;
        anyhow::Ok(micros(answer.elapsed))
    };
    for _ in 0..WARM_UP {
        request(function)?;
    }
    let before = function.cpu()?;
    let mut latencies = Vec::new();
    for _ in 0..REQUESTS {
        latencies.push(request(function)?);
    }
    let cpu = function.cpu()? - before;
    Ok(Sample::of(&latencies, cpu / f64::from(REQUESTS)))
}
