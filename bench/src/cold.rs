//! Cold starts: from a process's start to its first poll of the Runtime API, and to its first answer.

use crate::lab::{Lab, NO_DATABASE, WARM};
use crate::routes::ROUTES;
use crate::stats::median;
use serde::Serialize;
use std::time::Duration;
use std::{iter, thread};

const ROUNDS: usize = 48;

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
}

/// A function, its event, and what its starts took.
struct Starts {
    function: &'static str,
    event: String,
    init_without_database: Vec<f64>,
    init: Vec<f64>,
    first_answer: Vec<f64>,
}

impl Starts {
    fn new(function: &'static str, event: String) -> Self {
        let (init_without_database, init, first_answer) = Default::default();
        Self { function, event, init_without_database, init, first_answer }
    }

    fn without_database(&mut self, lab: &Lab) -> anyhow::Result<()> {
        let init = lab.start(self.function, NO_DATABASE)?.first_poll()?;
        self.init_without_database.push(millis(init));
        Ok(())
    }

    fn with_database(&mut self, lab: &Lab) -> anyhow::Result<()> {
        let mut function = lab.start(self.function, &lab.database(WARM)?)?;
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
    let mut hello = Starts::new(HELLO, include_str!("../../events/get-config.json").to_owned());
    let mut functions = Vec::new();
    for route in &ROUTES {
        functions.push(Starts::new(route.name, route.request(&route.event()?, route.first)));
    }
    for round in 0..ROUNDS {
        let mut all: Vec<_> = iter::once(&mut hello).chain(&mut functions).collect();
        let first = round % all.len();
        all.rotate_left(first);
        for starts in &mut all {
            starts.without_database(lab)?;
        }
        for starts in &mut all {
            starts.with_database(lab)?;
        }
        thread::sleep(CLEAN_UP);
    }
    let sum_up = |starts: &Starts| {
        let pairs = starts.init_without_database.iter().zip(&hello.init_without_database);
        Cold {
            function: starts.function,
            init_without_database: median(starts.init_without_database.iter().copied()),
            ratio: median(pairs.map(|(ours, hellos)| ours / hellos)),
            init: median(starts.init.iter().copied()),
            first_answer: median(starts.first_answer.iter().copied()),
        }
    };
    Ok(iter::once(&hello).chain(&functions).map(sum_up).collect())
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
