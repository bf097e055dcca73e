//! Warm requests: each function's latency, CPU time and memory, next to pgbench running the route's plain statement, and
//! to other makers' functions.

use crate::function::Function;
use crate::lab::{Lab, Maker, WARM};
use crate::pgbench::Protocol;
use crate::routes::{ROUTES, Route};
use crate::stats::{Sample, micros};
use anyhow::{Context, bail};
use serde::Serialize;
use serde_json::Value;

/// Functions and pgbench take turns this many times, so that drift of the machine meets all.
pub(crate) const ROUNDS: u32 = 11;

/// Requests in a round, after those that warm up.
pub(crate) const REQUESTS: u32 = 400;
pub(crate) const WARM_UP: u32 = 20;

/// What one route's requests cost.
#[derive(Serialize)]
pub(crate) struct Warm {
    pub(crate) route: &'static str,
    pub(crate) function: Sample,
    pub(crate) peak_memory_kib: u64,
    /// pgbench, its statement prepared.
    pub(crate) prepared: Option<Compared>,
    /// pgbench, its statement unnamed.
    pub(crate) extended: Option<Compared>,
    pub(crate) baseline: Option<Compared>,
    pub(crate) node: Option<Compared>,
    /// What the p50 may be as a multiple of `extended`'s, and of `baseline`'s.
    pub(crate) aim: Option<f64>,
    pub(crate) aim_to_baseline: Option<f64>,
}

/// Something that took turns with the function.
#[derive(Serialize)]
pub(crate) struct Compared {
    pub(crate) sample: Sample,
    /// The median over rounds of the function to it.
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

/// A maker's function, and its rounds so far.
struct Running {
    maker: Maker,
    function: Function,
    rounds: Vec<Sample>,
}

fn measure_route(lab: &Lab, route: &Route) -> anyhow::Result<Warm> {
    let event = route.event()?;
    let statement = route.statement()?;
    let mut n = route.first..;
    let (mut functions, mut answers) = (Vec::new(), Vec::new());
    for maker in lab.makers(route.name) {
        let (function, answer) = start(lab, maker, route, &route.request(&event, n.start))?;
        n.start += 1;
        functions.push(Running { maker, function, rounds: Vec::new() });
        answers.push((maker, answer));
    }
    expect_same(&answers).context(route.name)?;
    let (mut prepared, mut extended) = (Vec::new(), Vec::new());
    for _ in 0..lab.rounds(ROUNDS) {
        for Running { function, rounds, .. } in &mut functions {
            let events = n.by_ref().map(|n| route.request(&event, n));
            rounds.push(round(function, events, route.status)?);
        }
        let Some(statement) = &statement else { continue };
        let yardsticks = [(Protocol::Prepared, &mut prepared), (Protocol::Extended, &mut extended)];
        for (protocol, rounds) in yardsticks {
            rounds.push(lab.yardstick(protocol, statement, n.start)?);
            n.start += u64::from(WARM_UP + REQUESTS);
        }
    }
    let (ours, others) = functions.split_first().context("our own function")?;
    let pgbench = |rounds: &[Sample]| statement.as_ref().map(|_| Compared::new(&ours.rounds, rounds, None));
    let other = |maker| {
        let other = others.iter().find(|other| other.maker == maker);
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
        baseline: other(Maker::Baseline)?,
        node: other(Maker::Node)?,
        aim: route.aim,
        aim_to_baseline: route.aim_to_baseline,
    })
}

/// Starts a function on the database [`WARM`], with one request from which its backend is known.
pub(crate) fn start(
    lab: &Lab,
    maker: Maker,
    route: &Route,
    event: &str,
) -> anyhow::Result<(Function, Value)> {
    let before = lab.backends()?;
    let mut function = lab.start(maker, route.name, &lab.database(WARM)?)?;
    let (_, answer) = function.invoke(event)?;
    answer.expect(route.status)?;
    function.backend = lab.backends()?.difference(&before).next().copied();
    Ok((function, serde_json::from_slice(&answer.body)?))
}

/// Fails unless our answer holds all that bench/node's does, but for a new message's id and time.
fn expect_same(answers: &[(Maker, Value)]) -> anyhow::Result<()> {
    let of = |wanted| {
        let mut answer = answers.iter().find(|(maker, _)| *maker == wanted)?.1.clone();
        if let Some(message) = answer.pointer_mut("/message").and_then(Value::as_object_mut) {
            message.retain(|name, _| !["id", "created_at", "updated_at"].contains(&name.as_str()));
        }
        Some(answer)
    };
    match (of(Maker::Ours), of(Maker::Node)) {
        (Some(ours), Some(nodes)) if !holds(&ours, &nodes) => bail!("we answer {ours}\nNode answers {nodes}"),
        _ => Ok(()),
    }
}

/// Whether `whole` is `part` with perhaps more fields in its objects.
fn holds(whole: &Value, part: &Value) -> bool {
    match (whole, part) {
        (Value::Object(whole), Value::Object(part)) => {
            part.iter().all(|(name, part)| whole.get(name).is_some_and(|whole| holds(whole, part)))
        }
        (Value::Array(whole), Value::Array(part)) => {
            whole.len() == part.len() && whole.iter().zip(part).all(|(whole, part)| holds(whole, part))
        }
        _ => whole == part,
    }
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
    let (cpu, backend) = (function.cpu()?, function.backend_cpu()?);
    let mut latencies = Vec::new();
    for _ in 0..REQUESTS {
        latencies.push(request(function)?);
    }
    let per_request = |time: f64| time / f64::from(REQUESTS);
    let cpu = per_request(function.cpu()? - cpu);
    Ok(Sample::of(&latencies, cpu, per_request(function.backend_cpu()? - backend)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_answer_may_have_more_fields_but_no_others() {
        let part = json!({ "messages": [{ "id": 1, "body": null }] });
        assert!(holds(&json!({ "messages": [{ "id": 1, "body": null, "since": 2 }], "more": false }), &part));
        for other in [
            json!({ "messages": [{ "id": 1 }] }),
            json!({ "messages": [{ "id": 2, "body": null }] }),
            json!({ "messages": [{ "id": 1, "body": null }, { "id": 1, "body": null }] }),
        ] {
            assert!(!holds(&other, &part), "{other}");
        }
    }
}
