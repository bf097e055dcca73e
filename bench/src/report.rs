//! The report: the measurements and the missed aims, as JSON and as tables.

use crate::aims::{
    self, CPU_TOKEN, FIRST_ANSWER, GROWTH, HOT, INIT_RATIO, NESTED_PLANS, P50_TOKEN, PLANNING,
};
use crate::cold::{Cold, HELLO, Other};
use crate::hot::Hot;
use crate::measured::Measured;
use crate::noise::Noise;
use crate::stats::Sample;
use crate::table::Table;
use crate::tokens::Tokens;
use crate::warm::{Compared, Warm};
use serde::Serialize;
use std::fmt;

/// The report of a run.
#[derive(Serialize)]
pub(crate) struct Report {
    #[serde(flatten)]
    measured: Measured,
    aims_missed: Vec<String>,
}

impl From<Measured> for Report {
    fn from(measured: Measured) -> Self {
        let aims_missed = aims::missed(&measured);
        Self { measured, aims_missed }
    }
}

impl Measured {
    fn warm(&self) -> Table {
        let mut table = Table::new(&[
            "warm request, µs",
            "p50",
            "p99",
            "CPU",
            "peak KiB",
            "pgbench prepared p50",
            "ratio",
            "extended p50",
            "ratio",
            "aim",
        ]);
        for warm in &self.warm {
            let (p50, ratio) = (|sample: &Sample| sample.p50, |compared: &Compared| compared.ratio.p50);
            let Warm { function, prepared, extended, .. } = warm;
            table.row([
                warm.route.to_owned(),
                cell(Some(function.p50), 0),
                cell(Some(function.p99), 0),
                cell(Some(function.cpu), 0),
                warm.peak_memory_kib.to_string(),
                cell(prepared.as_ref().map(|prepared| p50(&prepared.sample)), 0),
                cell(prepared.as_ref().map(ratio), 2),
                cell(extended.as_ref().map(|extended| p50(&extended.sample)), 0),
                cell(extended.as_ref().map(ratio), 2),
                cell(warm.aim, 2),
            ]);
        }
        let Some(Noise { hello, round_trip, commit, .. }) = &self.noise else { return table };
        let floors = [("select 1: a round trip", round_trip), ("one row's update: and a commit", commit)];
        let mut row = vec!["hello world".to_owned()];
        row.extend([hello.p50, hello.p99, hello.cpu].map(|figure| cell(Some(figure), 0)));
        row.resize(10, String::new());
        table.row(row);
        for (what, floor) in floors {
            let mut row = vec![what.to_owned()];
            row.resize(5, String::new());
            row.push(cell(Some(floor.p50), 0));
            row.resize(10, String::new());
            table.row(row);
        }
        table
    }

    fn postgres(&self) -> Table {
        let nested = format!("nested, aim {NESTED_PLANS}");
        let planning = format!("planning, µs, aim {PLANNING}");
        let mut table = Table::new(&[
            "Postgres per request",
            "CPU, µs",
            "pgbench prepared CPU",
            "ratio",
            "aim, µs",
            "extended CPU",
            "plans, top level",
            &nested,
            &planning,
        ]);
        for (warm, plans) in self.warm.iter().zip(&self.plans) {
            let backend = |compared: &Option<Compared>| compared.as_ref().map(|other| other.sample.backend);
            table.row([
                warm.route.to_owned(),
                cell(Some(warm.function.backend), 0),
                cell(backend(&warm.prepared), 0),
                cell(warm.prepared.as_ref().map(|prepared| prepared.ratio.backend), 2),
                cell(warm.prepared.as_ref().map(|prepared| aims::backend(&prepared.sample)), 0),
                cell(backend(&warm.extended), 0),
                cell(Some(plans.top_level), 2),
                cell(Some(plans.nested), 2),
                cell(Some(plans.planning), 0),
            ]);
        }
        table
    }

    /// Compares another implementation with ours.
    fn other(
        &self,
        name: &str,
        warm: fn(&Warm) -> Option<&Compared>,
        cold: fn(&Cold) -> Option<&Other>,
    ) -> Table {
        let mut table = Table::new(&[
            name,
            "p50, µs",
            "ours to it",
            "CPU, µs",
            "ours to it",
            "Postgres' CPU, µs",
            "ours to it",
            "peak KiB",
            "init, ms",
            "ours to it",
            "first answer, ms",
            "ours to it",
        ]);
        for route in &self.warm {
            let Some(Compared { sample, ratio, peak_memory_kib }) = warm(route) else { continue };
            let cold = self.cold.iter().find(|start| start.function == route.route).and_then(cold);
            table.row([
                route.route.to_owned(),
                cell(Some(sample.p50), 0),
                cell(Some(ratio.p50), 2),
                cell(Some(sample.cpu), 0),
                cell(Some(ratio.cpu), 2),
                cell(Some(sample.backend), 0),
                cell(Some(ratio.backend), 2),
                peak_memory_kib.map_or(String::new(), |kib| kib.to_string()),
                cell(cold.map(|cold| cold.init), 2),
                cell(cold.map(|cold| cold.init_ratio), 2),
                cell(cold.map(|cold| cold.first_answer), 2),
                cell(cold.map(|cold| cold.first_answer_ratio), 2),
            ]);
        }
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

    fn tokens(&self) -> Table {
        let (ratio, cpu) = (format!("ratio, aim {P50_TOKEN}"), format!("CPU more, µs, aim {CPU_TOKEN}"));
        let head =
            ["with a user token", "p50, µs", "with a key", &ratio, &cpu, "Postgres' CPU, µs", "with a key"];
        let mut table = Table::new(&head);
        for Tokens { route, key, token, p50_ratio, more_cpu } in &self.tokens {
            table.row([
                (*route).to_owned(),
                cell(Some(token.p50), 0),
                cell(Some(key.p50), 0),
                cell(Some(*p50_ratio), 2),
                cell(Some(*more_cpu), 1),
                cell(Some(token.backend), 0),
                cell(Some(key.backend), 0),
            ]);
        }
        table
    }

    fn sends(&self) -> Table {
        let mut table = Table::new(&[
            "sends per second",
            "ours",
            "pgbench prepared",
            "ours to it",
            "named",
            "to pgbench",
            "baseline",
            "ours to it",
            "named to it",
        ]);
        for sends in &self.sends {
            table.row([
                sends.processes.to_string(),
                cell(Some(sends.per_second), 0),
                cell(Some(sends.prepared), 0),
                cell(Some(sends.to_prepared), 2),
                cell(Some(sends.named), 0),
                cell(Some(sends.named_to_prepared), 2),
                cell(sends.baseline, 0),
                cell(sends.to_baseline, 2),
                cell(sends.named_to_baseline, 2),
            ]);
        }
        table
    }

    fn hot(&self) -> Table {
        let mut table = Table::new(&[
            "participants",
            "sends before",
            "p50, µs",
            "p50 of a fresh one",
            "ratio",
            "aim",
            "Postgres' CPU, µs",
            "of a fresh one",
        ]);
        for Hot { participants, sends, used, fresh, ratio } in &self.hot {
            table.row([
                participants.to_string(),
                sends.to_string(),
                cell(Some(used.p50), 0),
                cell(Some(fresh.p50), 0),
                cell(Some(ratio.p50), 2),
                HOT.to_string(),
                cell(Some(used.backend), 0),
                cell(Some(fresh.backend), 0),
            ]);
        }
        table
    }

    fn webhooks(&self) -> Table {
        if self.webhooks.is_empty() {
            return Table::new(&[]);
        }
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
        let measured = &self.measured;
        let baseline =
            measured.other("baseline", |warm| warm.baseline.as_ref(), |cold| cold.baseline.as_ref());
        let node = measured.other("Node.js", |warm| warm.node.as_ref(), |cold| cold.node.as_ref());
        let named =
            measured.other("named statements", |warm| warm.named.as_ref(), |cold| cold.named.as_ref());
        let tables =
            [measured.warm(), measured.postgres(), named, baseline, node, measured.tokens(), measured.cold()];
        let more = [measured.scale(), measured.sends(), measured.hot(), measured.webhooks()];
        for table in tables.iter().chain(&more).filter(|table| !table.is_empty()) {
            writeln!(f, "{table}")?;
        }
        if let Some(Noise { spread, .. }) = &measured.noise {
            writeln!(
                f,
                "Noise: hello world's p50 in a round to its p50 in the round before: median {:.2}, {:.2} to {:.2}.\n",
                spread.median, spread.min, spread.max
            )?;
        }
        match self.aims_missed.as_slice() {
            [] => write!(f, "All aims met."),
            missed => write!(f, "Aims missed:\n- {}", missed.join("\n- ")),
        }
    }
}

/// Formats a figure with this number of decimals. A missing one gives an empty cell.
fn cell(figure: Option<f64>, digits: usize) -> String {
    figure.filter(|figure| !figure.is_nan()).map_or(String::new(), |figure| format!("{figure:.digits$}"))
}
