//! Robust statistics: medians and percentiles, which a few outliers don't change.

use serde::Serialize;
use std::time::Duration;

/// The times of the requests of one round, or their medians over rounds, in microseconds.
#[derive(Clone, Copy, Serialize)]
pub(crate) struct Sample {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    /// CPU time of the client side, the function or pgbench, per request.
    pub(crate) cpu: f64,
    /// CPU time of its backend in Postgres, per request. NaN if there is no backend.
    pub(crate) backend: f64,
}

impl Sample {
    /// Summarizes a round. CPU times are per request.
    pub(crate) fn of(latencies: &[f64], cpu: f64, backend: f64) -> Self {
        Self { p50: percentile(latencies, 50), p99: percentile(latencies, 99), cpu, backend }
    }

    /// Returns the median over rounds of each figure.
    pub(crate) fn median(rounds: &[Self]) -> Self {
        let over = |figure: fn(&Self) -> f64| median(rounds.iter().map(figure));
        Self {
            p50: over(|round| round.p50),
            p99: over(|round| round.p99),
            cpu: over(|round| round.cpu),
            backend: over(|round| round.backend),
        }
    }

    /// Divides each figure by that of `other`.
    pub(crate) fn ratio(&self, other: &Self) -> Self {
        Self {
            p50: self.p50 / other.p50,
            p99: self.p99 / other.p99,
            cpu: self.cpu / other.cpu,
            backend: self.backend / other.backend,
        }
    }
}

/// Returns the smallest value that at least `percent` of all values don't exceed.
pub(crate) fn percentile(values: &[f64], percent: usize) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(rank).copied().unwrap_or(f64::NAN)
}

/// Returns the median.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    percentile(&Vec::from_iter(values), 50)
}

/// Converts a time to microseconds.
pub(crate) fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_occurred() {
        let values: Vec<f64> = (1..=200).rev().map(f64::from).collect();
        assert!((percentile(&values, 50) - 100.0).abs() < f64::EPSILON);
        assert!((percentile(&values, 99) - 198.0).abs() < f64::EPSILON);
        assert!((median([3.0, 1.0, 2.0]) - 2.0).abs() < f64::EPSILON);
        assert!(median([]).is_nan());
    }
}
