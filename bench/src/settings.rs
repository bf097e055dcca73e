//! The settings of a run, from the environment.

use anyhow::{Context, bail};
use std::env;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Instant;

/// The names of the measurements in `BENCH_ONLY`, in the order in which they run.
const PARTS: [&str; 10] =
    ["warm", "noise", "tokens", "plans", "sends", "hot", "webhooks", "scale", "cold", "size"];

/// The settings of one run.
pub(crate) struct Settings {
    /// `BENCH_ONLY`: the measurements to make, separated by commas. All of them if it isn't set.
    only: Vec<String>,
    /// `BENCH_ROUNDS`: the most rounds of each measurement. A run with few rounds is short, but its figures are less exact.
    pub(crate) rounds: u32,
    /// `BENCH_ROWS`: the number of messages in the largest database of the scale measurement.
    pub(crate) rows: u64,
    /// `BENCH_SENDS`: the number of messages that a hot conversation receives before it is measured.
    pub(crate) sends: u32,
    /// `BASELINE`: a folder with release binaries of another version, of all or some functions, which are measured too.
    pub(crate) baseline: Option<PathBuf>,
}

impl Settings {
    /// Reads the environment.
    pub(crate) fn from_env() -> anyhow::Result<Self> {
        let only: Vec<_> = env::var("BENCH_ONLY")
            .unwrap_or_default()
            .split(',')
            .filter(|part| !part.is_empty())
            .map(str::to_owned)
            .collect();
        if only.iter().any(|part| !PARTS.contains(&part.as_str())) {
            bail!("BENCH_ONLY must be names from {}, separated by commas", PARTS.join(", "));
        }
        let baseline = env::var_os("BASELINE").filter(|folder| !folder.is_empty()).map(PathBuf::from);
        if let Some(missing) = baseline.as_ref().filter(|folder| !folder.join("send-message").exists()) {
            bail!("BASELINE must be a folder of release binaries; {} has no send-message", missing.display());
        }
        Ok(Self {
            only,
            rounds: number("BENCH_ROUNDS", u32::MAX)?,
            rows: number("BENCH_ROWS", 10_000_000)?,
            sends: number("BENCH_SENDS", 20_000)?,
            baseline,
        })
    }

    /// Whether this run makes the measurement `part`.
    pub(crate) fn wants(&self, part: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|wanted| wanted == part)
    }

    /// Makes the measurement `part`, if this run wants it.
    pub(crate) fn measure<T: Default>(
        &self,
        part: &str,
        measurement: impl FnOnce() -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        if !self.wants(part) {
            return Ok(T::default());
        }
        let start = Instant::now();
        let measured = measurement().with_context(|| part.to_owned())?;
        eprintln!("bench: {part} took {:.0} s", start.elapsed().as_secs_f64());
        Ok(measured)
    }
}

fn number<T: FromStr + PartialOrd + From<u8>>(name: &str, default: T) -> anyhow::Result<T> {
    let Ok(text) = env::var(name) else { return Ok(default) };
    let number = text.parse().ok().filter(|number| *number >= T::from(1));
    number.with_context(|| format!("{name} must be a whole number ≥ 1"))
}
