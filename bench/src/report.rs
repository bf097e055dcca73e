//! The report: everything measured, the aims that were missed, and all of it as tables.

use crate::cold::{Cold, HELLO};
use crate::noise::Noise;
use crate::scale::Scale;
use crate::sends::Sends;
use crate::size::BinarySize;
use crate::stats::Sample;
use crate::table::Table;
use crate::warm::Warm;
use crate::webhooks::Webhooks;
use serde::Serialize;
use std::fmt;

/// What init without the database may take, as a multiple of hello world's.
const INIT_RATIO: f64 = 1.3;

/// What a first answer may take after the process's start, in milliseconds.
const FIRST_ANSWER: f64 = 30.0;

/// What a request in the largest database may take, as a multiple of one in the smallest.
const GROWTH: f64 = 1.5;

/// A whole run. Times are in microseconds, but for cold starts', which are in milliseconds.
#[derive(Serialize)]
pub(crate) struct Report {
    noise: Noise,
    warm: Vec<Warm>,
    sends: Vec<Sends>,
    webhooks: Vec<Webhooks>,
    scale: Vec<Scale>,
    cold: Vec<Cold>,
    size: Vec<BinarySize>,
    aims_missed: Vec<String>,
}

impl Report {
    /// Holds what was measured against the aims.
    pub(crate) fn new(
        noise: Noise,
        warm: Vec<Warm>,
        sends: Vec<Sends>,
        webhooks: Vec<Webhooks>,
        scale: Vec<Scale>,
        cold: Vec<Cold>,
        size: Vec<BinarySize>,
    ) -> Self {
        let mut aims_missed = Vec::new();
        let mut aim = |what: String, value: f64, most: f64| {
            let met = value <= most; // which what couldn't be measured, NaN, isn't
            if !met {
                aims_missed.push(format!("{what}: {value:.2}, aim {most}"));
            }
        };
        for warm in &warm {
            if let Some(ratio) = &warm.ratio {
                aim(format!("{}, p50 to pgbench's", warm.route), ratio.p50, warm.aim);
            }
        }
        for scale in &scale {
            aim(format!("{}, largest to smallest", scale.what), scale.growth, GROWTH);
        }
        for cold in &cold {
            aim(format!("{}, init to hello's", cold.function), cold.ratio, INIT_RATIO);
            aim(format!("{}, ms to first answer", cold.function), cold.first_answer, FIRST_ANSWER);
        }
        Self { noise, warm, sends, webhooks, scale, cold, size, aims_missed }
    }

    fn warm(&self) -> Table {
        let mut table = Table::new(&[
            "warm request, µs",
            "p50",
            "p99",
            "CPU",
            "pgbench p50",
            "p99",
            "CPU",
            "ratio p50",
            "p99",
            "CPU",
            "aim",
            "peak KiB",
        ]);
        let times = |sample: Option<&Sample>, digits: usize| {
            let cell = |figure: fn(&Sample) -> f64| {
                sample.map_or(String::new(), |sample| format!("{:.digits$}", figure(sample)))
            };
            [cell(|sample| sample.p50), cell(|sample| sample.p99), cell(|sample| sample.cpu)]
        };
        for warm in &self.warm {
            let mut row = vec![warm.route.to_owned()];
            row.extend(times(Some(&warm.function), 0));
            row.extend(times(warm.pgbench.as_ref(), 0));
            row.extend(times(warm.ratio.as_ref(), 2));
            row.push(warm.ratio.map_or(String::new(), |_| warm.aim.to_string()));
            row.push(warm.peak_memory_kib.to_string());
            table.row(row);
        }
        let mut plain = |what: &str, ours: Option<&Sample>, pgbench: Option<&Sample>| {
            let mut row = vec![what.to_owned()];
            row.extend(times(ours, 0));
            row.extend(times(pgbench, 0));
            row.resize(12, String::new());
            table.row(row);
        };
        plain("hello world", Some(&self.noise.hello), None);
        plain("select 1: a round trip", None, Some(&self.noise.round_trip));
        plain("one row's update: and a commit", None, Some(&self.noise.commit));
        table
    }

    fn cold(&self) -> Table {
        let mut table = Table::new(&[
            "cold start, ms",
            "init without database",
            "ratio",
            "aim",
            "init",
            "first answer",
            "aim",
            "KiB",
            "zipped",
        ]);
        for (cold, size) in self.cold.iter().zip(&self.size) {
            let aim = |aim: f64| {
                if cold.function == HELLO { String::new() } else { aim.to_string() }
            };
            table.row([
                cold.function.to_owned(),
                format!("{:.2}", cold.init_without_database),
                format!("{:.2}", cold.ratio),
                aim(INIT_RATIO),
                format!("{:.2}", cold.init),
                format!("{:.2}", cold.first_answer),
                aim(FIRST_ANSWER),
                (size.plain / 1024).to_string(),
                (size.zipped / 1024).to_string(),
            ]);
        }
        table
    }

    fn scale(&self) -> Table {
        let sizes = self.scale.first().map_or(&[][..], |scale| &scale.sizes);
        let names: Vec<_> = sizes.iter().map(|size| format!("{} messages", size.messages)).collect();
        let mut head = vec!["p50 by size, µs"];
        head.extend(names.iter().map(String::as_str));
        head.extend(["largest to smallest", "aim"]);
        let mut table = Table::new(&head);
        for scale in &self.scale {
            let mut row = vec![scale.what.to_owned()];
            row.extend(scale.sizes.iter().map(|size| format!("{:.0}", size.p50)));
            row.extend([format!("{:.2}", scale.growth), GROWTH.to_string()]);
            table.row(row);
        }
        table
    }

    fn sends(&self) -> Table {
        let names: Vec<_> = self.sends.iter().map(|sends| sends.processes.to_string()).collect();
        let mut head = vec!["processes"];
        head.extend(names.iter().map(String::as_str));
        let mut table = Table::new(&head);
        let rates = self.sends.iter().map(|sends| format!("{:.0}", sends.per_second));
        table.row(std::iter::once("sends per second".to_owned()).chain(rates));
        table
    }

    fn webhooks(&self) -> Table {
        let names: Vec<_> = self.webhooks.iter().map(|webhooks| webhooks.endpoints.to_string()).collect();
        let mut head = vec!["endpoints"];
        head.extend(names.iter().map(String::as_str));
        let mut table = Table::new(&head);
        let rates = self.webhooks.iter().map(|webhooks| format!("{:.0}", webhooks.per_second));
        table.row(std::iter::once("webhooks per second".to_owned()).chain(rates));
        table
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for table in [self.warm(), self.cold(), self.scale(), self.sends(), self.webhooks()] {
            writeln!(f, "{table}")?;
        }
        let spread = &self.noise.spread;
        writeln!(
            f,
            "Noise: hello world's p50 in a round to its p50 in the round before: median {:.2}, {:.2} to {:.2}.\n",
            spread.median, spread.min, spread.max
        )?;
        match self.aims_missed.as_slice() {
            [] => write!(f, "All aims met."),
            missed => write!(f, "Aims missed:\n- {}", missed.join("\n- ")),
        }
    }
}
