//! Cold starts: from a process's start to its first poll of the Runtime API, and to its first answer.

use crate::lab::{Lab, NO_DATABASE, WARM};
use crate::routes::{ROUTES, Route};
use crate::stats::median;
use serde::Serialize;

const ROUNDS: u32 = 40;

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

struct Round {
    init_without_database: f64,
    init: f64,
    first_answer: f64,
}

/// Starts all functions over and over, in turns.
pub(crate) fn measure(lab: &Lab) -> anyhow::Result<Vec<Cold>> {
    let mut functions = vec![(HELLO, include_str!("../../events/get-config.json").to_owned(), vec![])];
    for route in &ROUTES {
        functions.push((route.name, first_request(route)?, vec![]));
    }
    for _ in 0..ROUNDS {
        for (name, event, rounds) in &mut functions {
            rounds.push(start(lab, name, event)?);
        }
    }
    let hello: Vec<f64> = functions
        .iter()
        .filter(|(name, ..)| *name == HELLO)
        .flat_map(|(_, _, rounds)| rounds.iter().map(|round| round.init_without_database))
        .collect();
    let sum_up = |(function, _, rounds): &(&'static str, String, Vec<Round>)| {
        let over = |figure: fn(&Round) -> f64| median(rounds.iter().map(figure));
        Cold {
            function,
            init_without_database: over(|round| round.init_without_database),
            ratio: median(
                rounds.iter().zip(&hello).map(|(round, hello)| round.init_without_database / hello),
            ),
            init: over(|round| round.init),
            first_answer: over(|round| round.first_answer),
        }
    };
    Ok(functions.iter().map(sum_up).collect())
}

/// A request that can be made again and again.
fn first_request(route: &Route) -> anyhow::Result<String> {
    Ok(route.request(&route.event()?, route.first))
}

fn start(lab: &Lab, name: &str, event: &str) -> anyhow::Result<Round> {
    let init_without_database = lab.start(name, NO_DATABASE)?.first_poll()?;
    let mut function = lab.start(name, &lab.database(WARM)?)?;
    let (init, _) = function.invoke(event)?;
    let first_answer = function.age();
    Ok(Round {
        init_without_database: init_without_database.as_secs_f64() * 1e3,
        init: init.as_secs_f64() * 1e3,
        first_answer: first_answer.as_secs_f64() * 1e3,
    })
}
