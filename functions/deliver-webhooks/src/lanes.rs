//! Endpoints that are being served, each in a lane of its own, so that a slow or failing one doesn't delay others.

use shared::db::Db;
use shared::webhook::{Attempt, Delivery, Sender};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::{self, JoinSet};
use tokio::time::{Instant, timeout};
use uuid::Uuid;

/// The maximum number of lanes, and of lanes for one tenant's endpoints.
const LANES: usize = 128;
pub const LANES_PER_TENANT: i32 = 4;

/// The maximum number of concurrent attempts in a lane.
const WIDTH: usize = 4;

/// The maximum total size of the payloads held at once, in bytes; the last one may exceed it. Each byte is in memory
/// several times.
const BYTES: usize = 4_000_000;

/// The time for which a lane begins attempts. Those in progress take 5 s more, and the deliveries are leased for 20 s.
const LIFETIME: Duration = Duration::from_secs(10);

/// All lanes.
pub struct Lanes {
    db: Db,
    sender: Arc<Sender>,
    by_endpoint: HashMap<Uuid, Lane>,
    under_way: JoinSet<Attempt>,
    /// The endpoint and the size of each attempt in progress.
    of: HashMap<task::Id, (Uuid, usize)>,
}

struct Lane {
    tenant: Uuid,
    ends: Instant,
    waiting: VecDeque<Delivery>,
    under_way: usize,
}

impl Lanes {
    pub fn new(db: Db, sender: Arc<Sender>) -> Self {
        Self { db, sender, by_endpoint: HashMap::new(), under_way: JoinSet::new(), of: HashMap::new() }
    }

    /// Whether no attempt is in progress.
    pub fn is_idle(&self) -> bool {
        self.under_way.is_empty()
    }

    /// The number of lanes that may still be opened.
    pub fn free(&self) -> usize {
        LANES.saturating_sub(self.by_endpoint.len())
    }

    /// The number of bytes that may still be held.
    pub fn free_bytes(&self) -> usize {
        let waiting = self.by_endpoint.values().flat_map(|lane| &lane.waiting).map(Delivery::bytes);
        let under_way = self.of.values().map(|(_, bytes)| *bytes);
        BYTES.saturating_sub(waiting.chain(under_way).sum())
    }

    /// The endpoints that have a lane.
    pub fn endpoints(&self) -> Vec<Uuid> {
        self.by_endpoint.keys().copied().collect()
    }

    /// The tenant of each lane.
    pub fn tenants(&self) -> Vec<Uuid> {
        self.by_endpoint.values().map(|lane| lane.tenant).collect()
    }

    /// Opens lanes for deliveries. They begin no attempt after `end`.
    pub fn open(&mut self, deliveries: Vec<Delivery>, end: Instant) {
        let ends = end.min(Instant::now() + LIFETIME);
        for delivery in deliveries {
            let new = || Lane { tenant: delivery.tenant_id, ends, waiting: VecDeque::new(), under_way: 0 };
            self.by_endpoint.entry(delivery.endpoint_id).or_insert_with(new).waiting.push_back(delivery);
        }
        let endpoints = self.endpoints();
        for endpoint in endpoints {
            self.advance(endpoint);
        }
    }

    /// Waits up to `limit` for attempts to end, and returns their outcomes. A lane that has failed or reached its
    /// lifetime gives its other deliveries back. An attempt that panics has no outcome, and its lease expires.
    pub async fn outcomes(&mut self, limit: Duration) -> Vec<Attempt> {
        let mut ended = Vec::new();
        let mut next = timeout(limit, self.under_way.join_next_with_id()).await.ok().flatten();
        while let Some(outcome) = next {
            let id = match &outcome {
                Ok((id, _)) => *id,
                Err(error) => error.id(),
            };
            let attempt = outcome.inspect_err(|error| tracing::error!(%error, "an attempt failed")).ok();
            let attempt = attempt.map(|(_, attempt)| attempt);
            if let Some((endpoint, _)) = self.of.remove(&id) {
                ended.extend(self.ended(endpoint, attempt.as_ref().is_some_and(Attempt::succeeded)));
            }
            ended.extend(attempt);
            next = self.under_way.try_join_next_with_id();
        }
        ended
    }

    /// Continues a lane after an attempt. Returns the deliveries that the lane gives back.
    fn ended(&mut self, endpoint: Uuid, succeeded: bool) -> Vec<Attempt> {
        let Some(lane) = self.by_endpoint.get_mut(&endpoint) else { return Vec::new() };
        lane.under_way -= 1;
        let mut given_back = Vec::new();
        if succeeded && Instant::now() < lane.ends {
            self.advance(endpoint);
        } else {
            given_back.extend(lane.waiting.drain(..).map(Delivery::unmade));
        }
        self.by_endpoint.retain(|_, lane| lane.under_way > 0);
        given_back
    }

    fn advance(&mut self, endpoint: Uuid) {
        let Some(lane) = self.by_endpoint.get_mut(&endpoint) else { return };
        while lane.under_way < WIDTH
            && let Some(delivery) = lane.waiting.pop_front()
        {
            let (db, sender, bytes) = (self.db.clone(), self.sender.clone(), delivery.bytes());
            let task = self.under_way.spawn(async move { delivery.attempt(&db, &sender).await });
            self.of.insert(task.id(), (endpoint, bytes));
            lane.under_way += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_attempt_that_panics_gives_its_lane_back() {
        let db = Db::at("postgres://nobody@127.0.0.1:1/none?sslmode=disable").unwrap();
        let mut lanes = Lanes::new(db, Arc::new(Sender::from_env().unwrap()));
        let endpoint = Uuid::from_u128(1);
        let lane = Lane {
            tenant: endpoint,
            ends: Instant::now() + LIFETIME,
            waiting: VecDeque::new(),
            under_way: 1,
        };
        lanes.by_endpoint.insert(endpoint, lane);
        let task = lanes.under_way.spawn(async { panic!("on purpose") });
        lanes.of.insert(task.id(), (endpoint, BYTES));
        assert!(lanes.outcomes(Duration::from_secs(1)).await.is_empty());
        assert_eq!((lanes.free(), lanes.free_bytes(), lanes.is_idle()), (LANES, BYTES, true));
    }
}
