//! Warm requests: each function's latency, CPU time and memory, compared with pgbench running the route's plain statement
//! and with other implementations.

use crate::function::Function;
use crate::lab::{Implementation, Lab, WARM};
use crate::pgbench::Protocol;
use crate::round::{REQUESTS, ROUNDS, WARM_UP, round};
use crate::routes::{ROUTES, Route};
use crate::stats::Sample;
use anyhow::{Context, bail};
use serde::Serialize;
use serde_json::Value;

/// The cost of one route's requests.
#[derive(Serialize)]
pub(crate) struct Warm {
    pub(crate) route: &'static str,
    pub(crate) function: Sample,
    pub(crate) peak_memory_kib: u64,
    /// pgbench with prepared statements.
    pub(crate) prepared: Option<Compared>,
    /// pgbench with unnamed statements.
    pub(crate) extended: Option<Compared>,
    /// The function with named statements.
    pub(crate) named: Option<Compared>,
    pub(crate) baseline: Option<Compared>,
    pub(crate) node: Option<Compared>,
    /// The longest p50, as a multiple of `extended`'s and of `baseline`'s.
    pub(crate) aim: Option<f64>,
    pub(crate) aim_to_baseline: Option<f64>,
}

/// A sample that the function is compared with. Both took turns.
#[derive(Serialize)]
pub(crate) struct Compared {
    pub(crate) sample: Sample,
    /// The median over rounds of the ratio of the function to it.
    pub(crate) ratio: Sample,
    /// None for pgbench.
    pub(crate) peak_memory_kib: Option<u64>,
}

impl Compared {
    fn new(ours: &[Sample], theirs: &[Sample], peak_memory_kib: Option<u64>) -> Self {
        let ratios: Vec<_> = ours.iter().zip(theirs).map(|(ours, theirs)| ours.ratio(theirs)).collect();
        Self { sample: Sample::median(theirs), ratio: Sample::median(&ratios), peak_memory_kib }
    }
}

/// Measures all routes.
pub(crate) fn measure(lab: &Lab) -> anyhow::Result<Vec<Warm>> {
    ROUTES.iter().map(|route| measure_route(lab, route)).collect()
}

/// A running function, and its rounds so far.
struct Running {
    implementation: Implementation,
    function: Function,
    rounds: Vec<Sample>,
}

fn measure_route(lab: &Lab, route: &Route) -> anyhow::Result<Warm> {
    let event = route.event()?;
    let statement = route.statement()?;
    let mut n = route.first..;
    let (mut functions, mut responses) = (Vec::new(), Vec::new());
    for implementation in lab.implementations(route.name) {
        let (function, response) = start(lab, implementation, route, &route.request(&event, n.start))?;
        n.start += 1;
        functions.push(Running { implementation, function, rounds: Vec::new() });
        responses.push((implementation, response));
    }
    expect_same(&responses).context(route.name)?;
    let (mut prepared, mut extended) = (Vec::new(), Vec::new());
    for _ in 0..lab.rounds(ROUNDS) {
        for Running { function, rounds, .. } in &mut functions {
            let events = n.by_ref().map(|n| route.request(&event, n));
            rounds.push(round(function, events, route.status)?);
        }
        let Some(statement) = &statement else { continue };
        let protocols = [(Protocol::Prepared, &mut prepared), (Protocol::Extended, &mut extended)];
        for (protocol, rounds) in protocols {
            rounds.push(lab.pgbench_round(protocol, statement, n.start)?);
            n.start += u64::from(WARM_UP + REQUESTS);
        }
    }
    let (ours, others) = functions.split_first().context("our own function")?;
    let pgbench = |rounds: &[Sample]| statement.as_ref().map(|_| Compared::new(&ours.rounds, rounds, None));
    let other = |implementation| {
        let other = others.iter().find(|other| other.implementation == implementation);
        let compare = |other: &Running| {
            let peak_memory = other.function.peak_memory()?;
            anyhow::Ok(Compared::new(&ours.rounds, &other.rounds, Some(peak_memory)))
        };
        other.map(compare).transpose()
    };
    Ok(Warm {
        route: route.name,
        function: Sample::median(&ours.rounds),
        peak_memory_kib: ours.function.peak_memory()?,
        prepared: pgbench(&prepared),
        extended: pgbench(&extended),
        named: other(Implementation::Named)?,
        baseline: other(Implementation::Baseline)?,
        node: other(Implementation::Node)?,
        aim: route.aim,
        aim_to_baseline: route.aim_to_baseline,
    })
}

/// Starts a function on the database [`WARM`] and makes one request, which shows which backend serves it.
pub(crate) fn start(
    lab: &Lab,
    implementation: Implementation,
    route: &Route,
    event: &str,
) -> anyhow::Result<(Function, Value)> {
    let before = lab.backends()?;
    let mut function = lab.start(implementation, route.name, &lab.database(WARM)?)?;
    let (_, response) = function.invoke(event)?;
    response.expect(route.status)?;
    function.backend = lab.backends()?.difference(&before).next().copied();
    Ok((function, serde_json::from_slice(&response.body)?))
}

/// Fails unless our response contains all of bench/node's, except for the id and times of a new message.
fn expect_same(responses: &[(Implementation, Value)]) -> anyhow::Result<()> {
    let of = |wanted| {
        let mut response = responses.iter().find(|(implementation, _)| *implementation == wanted)?.1.clone();
        if let Some(message) = response.pointer_mut("/message").and_then(Value::as_object_mut) {
            message.retain(|name, _| !["id", "created_at", "updated_at"].contains(&name.as_str()));
        }
        Some(response)
    };
    match (of(Implementation::Ours), of(Implementation::Node)) {
        (Some(ours), Some(nodes)) if !contains(&ours, &nodes) => {
            bail!("our response is {ours}\nNode's is {nodes}")
        }
        _ => Ok(()),
    }
}

/// Whether `whole` equals `part`, except for additional fields in its objects.
fn contains(whole: &Value, part: &Value) -> bool {
    match (whole, part) {
        (Value::Object(whole), Value::Object(part)) => {
            part.iter().all(|(name, part)| whole.get(name).is_some_and(|whole| contains(whole, part)))
        }
        (Value::Array(whole), Value::Array(part)) => {
            whole.len() == part.len() && whole.iter().zip(part).all(|(whole, part)| contains(whole, part))
        }
        _ => whole == part,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_response_may_have_more_fields_but_no_others() {
        let part = json!({ "messages": [{ "id": 1, "body": null }] });
        assert!(contains(
            &json!({ "messages": [{ "id": 1, "body": null, "since": 2 }], "more": false }),
            &part
        ));
        for other in [
            json!({ "messages": [{ "id": 1 }] }),
            json!({ "messages": [{ "id": 2, "body": null }] }),
            json!({ "messages": [{ "id": 1, "body": null }, { "id": 1, "body": null }] }),
        ] {
            assert!(!contains(&other, &part), "{other}");
        }
    }
}
