//! Work that the caller needn't wait for: it starts at once, and the invocation stays open for it after the answer has
//! gone out.
//!
//! Lambda hands the caller the answer as soon as the runtime has posted it, and freezes the environment only when the
//! runtime asks for the next event. So [`crate::http::serve`] asks after the work is done or its time is up. Nothing
//! has to be registered, and a function that has no such work pays nothing.

use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};
use tokio::task::JoinSet;
use tracing::Instrument;

/// The longest that an invocation is kept open.
const LIMIT: Duration = Duration::from_secs(5);

/// How long before the function's timeout the work is given up at the latest.
const MARGIN: Duration = Duration::from_millis(500);

static PENDING: LazyLock<Mutex<JoinSet<()>>> = LazyLock::new(Mutex::default);

/// Starts work that may go on after the answer.
pub fn spawn(work: impl Future<Output = ()> + Send + 'static) {
    pending().spawn(work.in_current_span());
}

/// Waits for what this invocation has spawned, however it ended.
pub(crate) async fn finish(deadline: SystemTime) {
    let mut work = std::mem::take(&mut *pending());
    if work.is_empty() {
        return;
    }
    let left = deadline.duration_since(SystemTime::now()).unwrap_or_default().saturating_sub(MARGIN);
    let all = async {
        while let Some(done) = work.join_next().await {
            if let Err(error) = done {
                tracing::error!(%error, "work after the response failed");
            }
        }
    };
    if tokio::time::timeout(left.min(LIMIT), all).await.is_err() {
        tracing::error!("work after the response was given up"); // dropping the set ends it
    }
}

fn pending() -> MutexGuard<'static, JoinSet<()>> {
    PENDING.lock().unwrap_or_else(PoisonError::into_inner)
}
