//! The aims of a run, and the check that lists those that were missed.

use crate::measured::Measured;
use crate::plans::Plans;
use crate::sends::COMPARED;
use crate::stats::Sample;

/// The longest init without the database, as a multiple of hello world's.
pub(crate) const INIT_RATIO: f64 = 1.3;

/// The longest time from a process's start to its first response, in milliseconds.
pub(crate) const FIRST_ANSWER: f64 = 30.0;

/// The longest time of a request in the largest database, as a multiple of the time in the smallest.
pub(crate) const GROWTH: f64 = 1.5;

/// The longest time of a send into a conversation with many messages, as a multiple of a send into a new one.
pub(crate) const HOT: f64 = 1.15;

/// The most plans per request of statements inside server-side functions.
pub(crate) const NESTED_PLANS: f64 = 0.01;

/// The longest planning time per request, in microseconds. It is enough to plan the call, but no query of a table.
pub(crate) const PLANNING: f64 = 25.0;

/// The longest median with a user token, as a multiple of the median with a key.
pub(crate) const P50_TOKEN: f64 = 1.1;

/// The most CPU time that a function may use in addition for a user token, in microseconds.
pub(crate) const CPU_TOKEN: f64 = 15.0;

/// The longest start, as a multiple of the baseline's. The tenth above 1 is for noise.
const NO_WORSE: f64 = 1.1;

/// The fewest sends per second by [`COMPARED`] processes, as multiples of the baseline's and of pgbench's.
const SENDS_TO_BASELINE: f64 = 2.0;
const SENDS_TO_PREPARED: f64 = 0.8;

/// The longest median and the most CPU time of a request, as multiples of those of bench/node.
const P50_TO_NODE: f64 = 0.5;
const CPU_TO_NODE: f64 = 0.25;

/// Returns the most CPU time that a backend may use per request, in microseconds, given the `prepared` sample of pgbench.
pub(crate) fn backend(prepared: &Sample) -> f64 {
    f64::max(1.3 * prepared.backend, prepared.backend + 40.0)
}

/// Lists the aims that were missed. A figure that couldn't be measured is NaN and counts as missed. A measurement that
/// wasn't made, such as one without a baseline, doesn't count.
pub(crate) fn missed(measured: &Measured) -> Vec<String> {
    let mut missed = Vec::new();
    let mut note = |met: bool, what: String, value: f64, aim: f64| {
        if !met {
            missed.push(format!("{what}: {value:.2}, aim {aim:.2}"));
        }
    };
    let mut at_most = |what: String, value: f64, most: f64| note(value <= most, what, value, most);
    for warm in &measured.warm {
        let route = warm.route;
        if let (Some(extended), Some(aim)) = (&warm.extended, warm.aim) {
            at_most(format!("{route}, p50 to that of pgbench extended"), extended.ratio.p50, aim);
        }
        if let Some(prepared) = &warm.prepared {
            let most = backend(&prepared.sample);
            at_most(format!("{route}, µs of Postgres' CPU"), warm.function.backend, most);
            if let Some(named) = &warm.named {
                let what = format!("{route}, µs of Postgres' CPU with named statements");
                at_most(what, named.sample.backend, most);
            }
        }
        if let (Some(baseline), Some(aim)) = (&warm.baseline, warm.aim_to_baseline) {
            at_most(format!("{route}, p50 to the baseline's"), baseline.ratio.p50, aim);
            if let Some(named) = &warm.named {
                let ratio = named.sample.p50 / baseline.sample.p50;
                at_most(format!("{route}, p50 with named statements to the baseline's"), ratio, aim);
            }
        }
        if let Some(node) = &warm.node {
            at_most(format!("{route}, p50 to Node's"), node.ratio.p50, P50_TO_NODE);
            at_most(format!("{route}, CPU to Node's"), node.ratio.cpu, CPU_TO_NODE);
        }
    }
    for tokens in &measured.tokens {
        at_most(
            format!("{}, p50 with a token to that with a key", tokens.route),
            tokens.p50_ratio,
            P50_TOKEN,
        );
        at_most(format!("{}, µs of CPU more with a token", tokens.route), tokens.more_cpu, CPU_TOKEN);
    }
    for Plans { route, nested, planning, .. } in &measured.plans {
        at_most(format!("{route}, nested plans per request"), *nested, NESTED_PLANS);
        at_most(format!("{route}, µs of planning"), *planning, PLANNING);
    }
    for hot in &measured.hot {
        let what = format!("send to {} after {} sends, to a fresh conversation", hot.participants, hot.sends);
        at_most(what, hot.ratio.p50, HOT);
    }
    for scale in &measured.scale {
        at_most(format!("{}, largest to smallest", scale.what), scale.growth, GROWTH);
    }
    for cold in &measured.cold {
        let function = cold.function;
        at_most(format!("{function}, init to hello's"), cold.ratio, INIT_RATIO);
        at_most(format!("{function}, ms to first answer"), cold.first_answer, FIRST_ANSWER);
        if let Some(baseline) = &cold.baseline {
            at_most(format!("{function}, init to the baseline's"), baseline.init_ratio, NO_WORSE);
            let first_answer = baseline.first_answer_ratio;
            at_most(format!("{function}, first answer to the baseline's"), first_answer, NO_WORSE);
        }
    }
    let mut at_least = |what: String, value: f64, least: f64| note(value >= least, what, value, least);
    for sends in measured.sends.iter().filter(|sends| sends.processes == COMPARED) {
        let what = |whose| format!("sends per second by {COMPARED} processes to {whose}");
        at_least(what("those of pgbench prepared"), sends.to_prepared, SENDS_TO_PREPARED);
        at_least(what("those of pgbench prepared, named"), sends.named_to_prepared, SENDS_TO_PREPARED);
        if let (Some(ratio), Some(named)) = (sends.to_baseline, sends.named_to_baseline) {
            at_least(what("the baseline's"), ratio, SENDS_TO_BASELINE);
            at_least(what("the baseline's, named"), named, SENDS_TO_BASELINE);
        }
    }
    missed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backend_may_spend_a_share_more_or_a_little_more() {
        let prepared = |backend| Sample { p50: 0.0, p99: 0.0, cpu: 0.0, backend };
        for (prepared, most) in [(prepared(30.0), 70.0), (prepared(300.0), 390.0)] {
            assert!((backend(&prepared) - most).abs() < 1e-9);
        }
    }
}
