//! Cold starts: the time from a process's start to its first poll of the Runtime API, and to its first response.

use crate::lab::{Implementation, Lab, NO_DATABASE, WARM};
use crate::routes::ROUTES;
use crate::stats::median;
use anyhow::Context;
use serde::Serialize;
use std::thread;
use std::time::Duration;

const ROUNDS: u32 = 48;

/// The pause after each round, in which Postgres ends the connections of the processes that were killed.
const CLEAN_UP: Duration = Duration::from_millis(20);

/// The minimal function that all others are compared with.
pub(crate) const HELLO: &str = "hello";

/// A function's cold start. Times are medians over rounds, in milliseconds.
#[derive(Serialize)]
pub(crate) struct Cold {
    pub(crate) function: &'static str,
    /// The time until the first poll, with no database at its address.
    pub(crate) init_without_database: f64,
    /// The median over rounds of the ratio of that time to hello's.
    pub(crate) ratio: f64,
    /// The time until the first poll, including the database connection.
    pub(crate) init: f64,
    /// The time until the first response.
    pub(crate) first_answer: f64,
    pub(crate) named: Option<Other>,
    pub(crate) baseline: Option<Other>,
    pub(crate) node: Option<Other>,
}

/// The same function in another implementation.
#[derive(Serialize)]
pub(crate) struct Other {
    pub(crate) init: f64,
    pub(crate) first_answer: f64,
    /// The medians over rounds of the ratios of our times to these.
    pub(crate) init_ratio: f64,
    pub(crate) first_answer_ratio: f64,
}

/// A function, its event and the measured times of its starts.
struct Starts {
    implementation: Implementation,
    function: &'static str,
    event: String,
    init_without_database: Vec<f64>,
    init: Vec<f64>,
    first_answer: Vec<f64>,
}

impl Starts {
    fn new(implementation: Implementation, function: &'static str, event: String) -> Self {
        let (init_without_database, init, first_answer) = Default::default();
        Self { implementation, function, event, init_without_database, init, first_answer }
    }

    fn without_database(&mut self, lab: &Lab) -> anyhow::Result<()> {
        let init = lab.start(self.implementation, self.function, NO_DATABASE)?.first_poll()?;
        self.init_without_database.push(millis(init));
        Ok(())
    }

    fn with_database(&mut self, lab: &Lab) -> anyhow::Result<()> {
        let mut function = lab.start(self.implementation, self.function, &lab.database(WARM)?)?;
        let (init, _) = function.invoke(&self.event)?;
        self.first_answer.push(millis(function.age()));
        self.init.push(millis(init));
        Ok(())
    }
}

/// Starts all functions in each round. The order changes from round to round, because the first start of a round follows
/// an idle pause and may take another time. Starts without a database come first: a process that was killed leaves
/// Postgres a connection to clean up, which must not slow down a measured start.
pub(crate) fn measure(lab: &Lab) -> anyhow::Result<Vec<Cold>> {
    let event = include_str!("../../events/get-config.json").to_owned();
    let mut all = vec![Starts::new(Implementation::Ours, HELLO, event)];
    for route in ROUTES {
        let event = route.request(&route.event()?, route.first);
        let implementations = lab.implementations(route.name).into_iter();
        all.extend(
            implementations.map(|implementation| Starts::new(implementation, route.name, event.clone())),
        );
    }
    for round in 0..lab.rounds(ROUNDS) {
        let first = usize::try_from(round)? % all.len();
        let (end, start) = all.split_at_mut(first);
        let mut turns: Vec<_> = start.iter_mut().chain(end).collect();
        for starts in turns.iter_mut().filter(|starts| starts.implementation == Implementation::Ours) {
            starts.without_database(lab)?;
        }
        for starts in turns {
            starts.with_database(lab)?;
        }
        thread::sleep(CLEAN_UP);
    }
    let hello = all.first().context("hello")?;
    let ours = all.iter().filter(|starts| starts.implementation == Implementation::Ours);
    Ok(ours.map(|ours| sum_up(ours, hello, &all)).collect())
}

fn sum_up(ours: &Starts, hello: &Starts, all: &[Starts]) -> Cold {
    let middle = |times: &[f64]| median(times.iter().copied());
    let ratio =
        |ours: &[f64], theirs: &[f64]| median(ours.iter().zip(theirs).map(|(ours, theirs)| ours / theirs));
    let other = |implementation| {
        let theirs = all
            .iter()
            .find(|starts| starts.implementation == implementation && starts.function == ours.function)?;
        Some(Other {
            init: middle(&theirs.init),
            first_answer: middle(&theirs.first_answer),
            init_ratio: ratio(&ours.init, &theirs.init),
            first_answer_ratio: ratio(&ours.first_answer, &theirs.first_answer),
        })
    };
    Cold {
        function: ours.function,
        init_without_database: middle(&ours.init_without_database),
        ratio: ratio(&ours.init_without_database, &hello.init_without_database),
        init: middle(&ours.init),
        first_answer: middle(&ours.first_answer),
        named: other(Implementation::Named),
        baseline: other(Implementation::Baseline),
        node: other(Implementation::Node),
    }
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
