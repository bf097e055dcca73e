//! Sends per second, from one process to sixteen, into sixteen conversations.

use crate::lab::{Lab, WARM};
use crate::routes::DEMO_CONVERSATION;
use crate::stats::median;
use serde::Serialize;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

const PROCESSES: [u32; 5] = [1, 2, 4, 8, 16];
const CONVERSATIONS: u32 = 16;
const ROUNDS: u32 = 3;
const TIME: Duration = Duration::from_secs(3);

/// What so many processes got done.
#[derive(Serialize)]
pub(crate) struct Sends {
    pub(crate) processes: u32,
    pub(crate) per_second: f64,
}

/// Measures each number of processes, in turns.
pub(crate) fn measure(lab: &Lab) -> anyhow::Result<Vec<Sends>> {
    let mut rounds = vec![Vec::new(); PROCESSES.len()];
    for _ in 0..ROUNDS {
        for (rates, processes) in rounds.iter_mut().zip(PROCESSES) {
            rates.push(rate(lab, processes)?);
        }
    }
    Ok(rounds
        .into_iter()
        .zip(PROCESSES)
        .map(|(rates, processes)| Sends { processes, per_second: median(rates) })
        .collect())
}

fn rate(lab: &Lab, processes: u32) -> anyhow::Result<f64> {
    let url = lab.database(WARM)?;
    let event = include_str!("../../events/send-message.json");
    let events: Vec<_> = (1..=CONVERSATIONS)
        .map(|n| event.replace(DEMO_CONVERSATION, &format!("c0000000-0000-4000-8000-{n:012x}")))
        .collect();
    let start = Barrier::new(usize::try_from(processes)?);
    let send = |offset| {
        let mut function = lab.start("send-message", &url)?;
        let mut sent = 0_u32;
        let mut events = events.iter().cycle().skip(offset);
        let mut once = || {
            let (_, answer) = function.invoke(events.next().map_or("", String::as_str))?;
            answer.expect(200)
        };
        once()?;
        start.wait();
        let begin = Instant::now();
        while begin.elapsed() < TIME {
            once()?;
            sent += 1;
        }
        anyhow::Ok(f64::from(sent) / begin.elapsed().as_secs_f64())
    };
    thread::scope(|scope| {
        let threads: Vec<_> =
            (0..usize::try_from(processes)?).map(|offset| scope.spawn(move || send(offset))).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|_| Err(anyhow::anyhow!("a sender panicked"))))
            .sum()
    })
}
