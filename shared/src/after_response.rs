//! Work that the caller needn't wait for: it starts at once, or when the answer is out, and the invocation stays open
//! for it.
//!
//! Lambda hands the caller the answer as soon as the runtime has posted it, and freezes the environment only when the
//! runtime asks for the next event. So [`crate::http::serve`] asks after the work is done or its time is up. Nothing
//! has to be registered, and a function that has no such work pays nothing.

use std::pin::Pin;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};
use tokio::task::JoinSet;
use tracing::Instrument;

/// The longest that an invocation is kept open: a broadcast and a webhook's first attempt take at most 0.8 s, and the attempt
/// has then to be recorded.
const LIMIT: Duration = Duration::from_millis(1_500);

/// How long before the function's timeout the work is given up at the latest.
const MARGIN: Duration = Duration::from_millis(500);

static PENDING: LazyLock<Mutex<Pending>> = LazyLock::new(Mutex::default);

#[derive(Default)]
struct Pending {
    begun: JoinSet<()>,
    deferred: Vec<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

/// Starts work that may go on after the answer.
pub fn spawn(work: impl Future<Output = ()> + Send + 'static) {
    pending().begun.spawn(work.in_current_span());
}

/// Leaves work that begins when the answer is out, for what would cost the caller even by its start.
pub fn defer(work: impl Future<Output = ()> + Send + 'static) {
    pending().deferred.push(Box::pin(work.in_current_span()));
}

/// Waits for what this invocation has spawned, however it ended.
pub(crate) async fn finish(deadline: SystemTime) {
    let Pending { begun: mut work, deferred } = std::mem::take(&mut *pending());
    for deferred in deferred {
        work.spawn(deferred);
    }
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

fn pending() -> MutexGuard<'static, Pending> {
    PENDING.lock().unwrap_or_else(PoisonError::into_inner)
}
