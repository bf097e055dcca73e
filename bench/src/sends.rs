//! Sends per second into sixteen conversations, by one to sixteen processes and by the same number of pgbench clients.

use crate::lab::{Implementation, Lab, WARM};
use crate::routes::{CONVERSATIONS, DEMO_CONVERSATION, send_script};
use crate::stats::median;
use serde::Serialize;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

const PROCESSES: [u32; 5] = [1, 2, 4, 8, 16];
const ROUNDS: u32 = 3;
const TIME: Duration = Duration::from_secs(3);

/// The number of processes that is compared with the baseline's.
pub(crate) const COMPARED: u32 = 8;

/// The rates of a number of processes.
#[derive(Serialize)]
pub(crate) struct Sends {
    pub(crate) processes: u32,
    pub(crate) per_second: f64,
    /// The rate of the same number of pgbench clients with prepared statements, and the median over rounds of the ratio
    /// of our rate to it.
    pub(crate) prepared: f64,
    pub(crate) to_prepared: f64,
    /// The rate of our processes with named statements, and its ratio to that of pgbench.
    pub(crate) named: f64,
    pub(crate) named_to_prepared: f64,
    /// The rate of the same number of the baseline's processes, and the ratios of our rates to it.
    pub(crate) baseline: Option<f64>,
    pub(crate) to_baseline: Option<f64>,
    pub(crate) named_to_baseline: Option<f64>,
}

/// The rates of a number of processes, one per round.
#[derive(Default)]
struct Rates {
    ours: Vec<f64>,
    prepared: Vec<f64>,
    named: Vec<f64>,
    baseline: Vec<f64>,
}

/// Measures each number of processes, in turns.
pub(crate) fn measure(lab: &Lab) -> anyhow::Result<Vec<Sends>> {
    let mut all: Vec<_> = PROCESSES.into_iter().map(|processes| (processes, Rates::default())).collect();
    for round in 0..lab.rounds(ROUNDS) {
        for (processes, rates) in &mut all {
            rates.ours.push(rate(lab, Implementation::Ours, *processes)?);
            rates.prepared.push(pgbench(lab, round, *processes)?);
            rates.named.push(rate(lab, Implementation::Named, *processes)?);
            if *processes == COMPARED
                && lab.implementations("send-message").contains(&Implementation::Baseline)
            {
                rates.baseline.push(rate(lab, Implementation::Baseline, *processes)?);
            }
        }
    }
    Ok(all.into_iter().map(|(processes, rates)| rates.sum_up(processes)).collect())
}

impl Rates {
    fn sum_up(&self, processes: u32) -> Sends {
        let ratio = |rates: &[f64], others: &[f64]| {
            median(rates.iter().zip(others).map(|(rate, other)| rate / other))
        };
        let baseline = Some(&self.baseline).filter(|rates| !rates.is_empty());
        Sends {
            processes,
            per_second: median(self.ours.iter().copied()),
            prepared: median(self.prepared.iter().copied()),
            to_prepared: ratio(&self.ours, &self.prepared),
            named: median(self.named.iter().copied()),
            named_to_prepared: ratio(&self.named, &self.prepared),
            baseline: baseline.map(|rates| median(rates.iter().copied())),
            to_baseline: baseline.map(|rates| ratio(&self.ours, rates)),
            named_to_baseline: baseline.map(|rates| ratio(&self.named, rates)),
        }
    }
}

/// Measures pgbench. The ids of new rows start at a number of their own for each round and number of clients.
fn pgbench(lab: &Lab, round: u32, clients: u32) -> anyhow::Result<f64> {
    let first = u64::from(100 * (round + 1) + clients) * 1_000_000_000;
    lab.pgbench.rate(&lab.database(WARM)?, &send_script()?, clients, TIME, first)
}

fn rate(lab: &Lab, implementation: Implementation, processes: u32) -> anyhow::Result<f64> {
    let url = lab.database(WARM)?;
    let event = include_str!("../../events/send-message.json");
    let events: Vec<_> = (1..=CONVERSATIONS)
        .map(|n| event.replace(DEMO_CONVERSATION, &format!("c0000000-0000-4000-8000-{n:012x}")))
        .collect();
    let start = Barrier::new(usize::try_from(processes)?);
    let send = |offset| {
        let mut function = lab.start(implementation, "send-message", &url)?;
        let mut sent = 0_u32;
        let mut events = events.iter().cycle().skip(offset);
        let mut once = || {
            let (_, response) = function.invoke(events.next().map_or("", String::as_str))?;
            response.expect(200)
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
