//! The number of requests with each kind of credential, for `tinychat usage --credentials`.
//!
//! A process counts in memory. It adds its counts to Postgres after its first response, and then at most once a minute.
//! So no request waits for that, and each row has few writers. Counts that aren't written yet are lost when Lambda ends
//! the process.

use crate::auth::CredentialKind;
use crate::db::{Chain, Db, Param};
use crate::model::TenantId;
use crate::{Result, after_response};
use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::{Duration, SystemTime};
use tokio_postgres::types::Type;

/// The shortest time between two writes.
const PAUSE: Duration = Duration::from_mins(1);

/// Adds the counts. Rows are locked in order, so that two processes can't deadlock.
const ADD: &str = "
    insert into tinychat.credential_usage as u (day, tenant_id, credential, requests)
    select (now() at time zone 'UTC')::date, counted.*
    from unnest($1, $2, $3) as counted (tenant_id, credential, requests)
    where exists (select from tinychat.tenants t where t.id = counted.tenant_id)
    order by counted.tenant_id, counted.credential
    on conflict (day, tenant_id, credential) do update set requests = u.requests + excluded.requests";

static COUNTED: LazyLock<Mutex<Counted>> = LazyLock::new(Mutex::default);

/// Numbers of requests by tenant and kind of credential.
type Requests = HashMap<(TenantId, &'static str), i64>;

#[derive(Default)]
struct Counted {
    requests: Requests,
    /// In wall-clock time, because the monotonic clock may stop while the environment is frozen.
    written_at: Option<SystemTime>,
}

impl Counted {
    /// Adds a request. Returns all counts if it is time to write them.
    fn add(&mut self, tenant: TenantId, kind: CredentialKind, now: SystemTime) -> Option<Requests> {
        *self.requests.entry((tenant, kind.as_str())).or_default() += 1;
        // If the clock was set back, the counts are written at once.
        let is_due = |at| now.duration_since(at).map_or(true, |since| since >= PAUSE);
        self.written_at.is_none_or(is_due).then(|| {
            self.written_at = Some(now);
            std::mem::take(&mut self.requests)
        })
    }
}

/// Counts a request with a genuine credential.
pub(crate) fn count(db: &Db, tenant: TenantId, kind: CredentialKind) {
    let mut counted = COUNTED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(requests) = counted.add(tenant, kind, SystemTime::now()) {
        let db = db.clone();
        after_response::defer(async move {
            if let Err(error) = write(&db, requests).await {
                tracing::warn!(error = %Chain(&error), "requests were not counted by credential");
            }
        });
    }
}

async fn write(db: &Db, requests: Requests) -> Result<()> {
    let (mut tenants, mut kinds, mut counts) = (Vec::new(), Vec::new(), Vec::new());
    for ((tenant, kind), count) in requests {
        tenants.push(tenant);
        kinds.push(kind);
        counts.push(count);
    }
    let params: [Param; 3] =
        [(&tenants, Type::UUID_ARRAY), (&kinds, Type::TEXT_ARRAY), (&counts, Type::INT8_ARRAY)];
    db.run(ADD, &params).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_request_is_written_at_once_and_others_once_a_minute() {
        let mut counted = Counted::default();
        let tenant = TenantId::parse("");
        let start = SystemTime::UNIX_EPOCH + Duration::from_hours(1);
        let mut add = |kind, seconds| counted.add(tenant, kind, start + Duration::from_secs(seconds));
        let (publishable, token) = (CredentialKind::Publishable, CredentialKind::Token);
        assert_eq!(add(token, 0), Some(HashMap::from([((tenant, "token"), 1)])));
        assert_eq!(add(token, 1), None);
        assert_eq!(add(publishable, 59), None);
        let expected = HashMap::from([((tenant, "token"), 2), ((tenant, "publishable"), 1)]);
        assert_eq!(add(token, 60), Some(expected));
        assert_eq!(add(token, 61), None);
        assert!(counted.add(tenant, token, start).is_some(), "the clock was set back");
    }
}
