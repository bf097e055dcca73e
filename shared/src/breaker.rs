//! A circuit breaker: stops calls to a service that keeps timing out, so that waiting for it doesn't occupy
//! environments.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

/// The number of consecutive timeouts that opens it.
const TIMEOUTS: u32 = 3;

/// The first pause. Each further timeout doubles it, at most three times.
const PAUSE: Duration = Duration::from_secs(1);
const DOUBLINGS: u32 = 3;

/// The state of one process.
#[derive(Default)]
pub(crate) struct Breaker(Mutex<State>);

#[derive(Default)]
struct State {
    timeouts: u32,
    /// In wall-clock time, because the monotonic clock may stop while the environment is frozen.
    paused_until: Option<SystemTime>,
}

impl Breaker {
    /// Whether the service may be called. After a pause, a call may probe it.
    pub(crate) fn allows(&self, now: SystemTime) -> bool {
        self.state().paused_until.is_none_or(|until| now >= until)
    }

    /// Records the outcome of a call. A call that didn't time out closes the breaker.
    pub(crate) fn record(&self, timed_out: bool, now: SystemTime) {
        let mut state = self.state();
        if !timed_out {
            *state = State::default();
            return;
        }
        state.timeouts += 1;
        if let Some(further) = state.timeouts.checked_sub(TIMEOUTS) {
            state.paused_until = now.checked_add(PAUSE * 2_u32.pow(further.min(DOUBLINGS)));
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the time this many seconds after the start.
    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn timeouts_in_a_row_open_it() {
        let breaker = Breaker::default();
        for timed_out in [true, true, false, true, true] {
            breaker.record(timed_out, at(0));
            assert!(breaker.allows(at(0)));
        }
        breaker.record(true, at(0));
        assert!(!breaker.allows(at(0)));
    }

    #[test]
    fn each_probe_that_times_out_doubles_the_pause_up_to_a_limit() {
        let (breaker, mut now) = (Breaker::default(), 0);
        for _ in 0..2 {
            breaker.record(true, at(now));
        }
        for pause in [1, 2, 4, 8, 8] {
            breaker.record(true, at(now));
            assert!(!breaker.allows(at(now + pause - 1)));
            now += pause;
            assert!(breaker.allows(at(now)));
        }
    }

    #[test]
    fn a_probe_that_succeeds_closes_it() {
        let breaker = Breaker::default();
        for _ in 0..3 {
            breaker.record(true, at(0));
        }
        breaker.record(false, at(1));
        breaker.record(true, at(1));
        assert!(breaker.allows(at(1)));
    }
}
