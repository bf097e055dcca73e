//! Work that the response needn't wait for. It starts at once or after the response, and the invocation stays open
//! until it is done.
//!
//! Lambda delivers the response as soon as the runtime has posted it, and freezes the environment only when the runtime
//! asks for the next event. So [`crate::http::serve`] asks for it when the work is done or its time is up. Nothing has
//! to be registered, and a function without such work pays nothing.

use std::pin::Pin;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};
use tokio::task::JoinSet;
use tracing::Instrument;

/// The longest time that an invocation is kept open. A broadcast and a webhook's first attempt take at most 0.8 s.
/// After that, the attempt has to be recorded.
const LIMIT: Duration = Duration::from_millis(1_500);

/// The time before the function's timeout at which the work is abandoned at the latest.
const MARGIN: Duration = Duration::from_millis(500);

static PENDING: LazyLock<Mutex<Pending>> = LazyLock::new(Mutex::default);

#[derive(Default)]
struct Pending {
    begun: JoinSet<()>,
    deferred: Vec<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

/// Starts work that may continue after the response.
pub fn spawn(work: impl Future<Output = ()> + Send + 'static) {
    pending().begun.spawn(work.in_current_span());
}

/// Queues work that starts after the response, because even its start would delay the response.
pub fn defer(work: impl Future<Output = ()> + Send + 'static) {
    pending().deferred.push(Box::pin(work.in_current_span()));
}

/// Starts the deferred work and waits for all work of this invocation, even if the handler failed.
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
