//! Rounds: the unit in which functions and pgbench take turns.

use crate::function::Function;
use crate::stats::{Sample, micros};

/// The number of rounds of most measurements. Functions and pgbench take turns in each round, so that a change in the
/// machine's speed affects all of them.
pub(crate) const ROUNDS: u32 = 11;

/// The measured requests of a round, and the unmeasured ones before them.
pub(crate) const REQUESTS: u32 = 400;
pub(crate) const WARM_UP: u32 = 20;

/// Sends the events of one round, each after the response to the one before. Fails if a response has another status.
pub(crate) fn round(
    function: &mut Function,
    mut events: impl Iterator<Item = String>,
    status: u16,
) -> anyhow::Result<Sample> {
    let mut request = |function: &mut Function| {
        let (_, response) = function.invoke(&events.next().unwrap_or_default())?;
        response.expect(status)?;
        anyhow::Ok(micros(response.elapsed))
    };
    for _ in 0..WARM_UP {
        request(function)?;
    }
    let (cpu, backend) = (function.cpu()?, function.backend_cpu()?);
    let mut latencies = Vec::new();
    for _ in 0..REQUESTS {
        latencies.push(request(function)?);
    }
    let per_request = |time: f64| time / f64::from(REQUESTS);
    let cpu = per_request(function.cpu()? - cpu);
    Ok(Sample::of(&latencies, cpu, per_request(function.backend_cpu()? - backend)))
}
