//! Cold starts: from a process's start to its first poll of the Runtime API, and to its first answer.

use crate::lab::{Lab, Maker, NO_DATABASE, WARM};
use crate::routes::ROUTES;
use crate::stats::median;
use anyhow::Context;
use serde::Serialize;
use std::thread;
use std::time::Duration;

const ROUNDS: u32 = 48;

/// How long Postgres has, after each round, to end the connections of the processes that were killed.
const CLEAN_UP: Duration = Duration::from_millis(20);

/// The function that all are compared with.
pub(crate) const HELLO: &str = "hello";

/// A function's cold start; times in milliseconds, medians over rounds.
#[derive(Serialize)]
pub(crate) struct Cold {
    pub(crate) function: &'static str,
    /// Until the first poll, with no database at its address.
    pub(crate) init_without_database: f64,
    /// The median over rounds of that to hello's.
    pub(crate) ratio: f64,
    /// Until the first poll, the database connection included.
    pub(crate) init: f64,
    /// Until the first answer.
    pub(crate) first_answer: f64,
    pub(crate) baseline: Option<Other>,
    pub(crate) node: Option<Other>,
}

/// Another maker's function.
#[derive(Serialize)]
pub(crate) struct Other {
    pub(crate) init: f64,
    pub(crate) first_answer: f64,
    /// The medians over rounds of ours to it.
    pub(crate) init_ratio: f64,
    pub(crate) first_answer_ratio: f64,
}

/// A function, its event, and what its starts took.
struct Starts {
    maker: Maker,
    function: &'static str,
    event: String,
    init_without_database: Vec<f64>,
    init: Vec<f64>,
    first_answer: Vec<f64>,
}

impl Starts {
    fn new(maker: Maker, function: &'static str, event: String) -> Self {
        let (init_without_database, init, first_answer) = Default::default();
        Self { maker, function, event, init_without_database, init, first_answer }
    }

    fn without_database(&mut self, lab: &Lab) -> anyhow::Result<()> {
        let init = lab.start(self.maker, self.function, NO_DATABASE)?.first_poll()?;
        self.init_without_database.push(millis(init));
        Ok(())
    }

    fn with_database(&mut self, lab: &Lab) -> anyhow::Result<()> {
        let mut function = lab.start(self.maker, self.function, &lab.database(WARM)?)?;
        let (init, _) = function.invoke(&self.event)?;
        self.first_answer.push(millis(function.age()));
        self.init.push(millis(init));
        Ok(())
    }
}

/// Starts all functions over and over, each round in another order: whoever comes first meets a machine that has been
/// idle. Those without a database have turns of their own: a process that was just killed leaves Postgres a connection
/// to clean up, which must not slow down the start that is timed.
pub(crate) fn measure(lab: &Lab) -> anyhow::Result<Vec<Cold>> {
    let event = include_str!("../../events/get-config.json").to_owned();
    let mut all = vec![Starts::new(Maker::Ours, HELLO, event)];
    for route in &ROUTES {
        let event = route.request(&route.event()?, route.first);
        let makers = lab.makers(route.name).into_iter();
        all.extend(makers.map(|maker| Starts::new(maker, route.name, event.clone())));
    }
    for round in 0..lab.rounds(ROUNDS) {
        let first = usize::try_from(round)? % all.len();
        let (end, start) = all.split_at_mut(first);
        let mut turns: Vec<_> = start.iter_mut().chain(end).collect();
        for starts in turns.iter_mut().filter(|starts| starts.maker == Maker::Ours) {
            starts.without_database(lab)?;
        }
        for starts in turns {
            starts.with_database(lab)?;
        }
        thread::sleep(CLEAN_UP);
    }
    let hello = all.first().context("hello")?;
    let ours = all.iter().filter(|starts| starts.maker == Maker::Ours);
    Ok(ours.map(|ours| sum_up(ours, hello, &all)).collect())
}

fn sum_up(ours: &Starts, hello: &Starts, all: &[Starts]) -> Cold {
    let middle = |times: &[f64]| median(times.iter().copied());
    let ratio =
        |ours: &[f64], theirs: &[f64]| median(ours.iter().zip(theirs).map(|(ours, theirs)| ours / theirs));
    let other = |maker| {
        let theirs = all.iter().find(|starts| starts.maker == maker && starts.function == ours.function)?;
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
        baseline: other(Maker::Baseline),
        node: other(Maker::Node),
    }
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
