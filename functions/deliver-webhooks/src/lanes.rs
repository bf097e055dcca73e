//! Endpoints that are being served, each in a lane of its own, so that one that is slow or down is in nobody's way.

use shared::webhook::{Attempt, Delivery, Sender};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};
use uuid::Uuid;

/// How many lanes there may be, and how many for the endpoints of one tenant.
const LANES: usize = 128;
pub const LANES_PER_TENANT: i32 = 4;

/// How many attempts are under way in a lane at once.
const WIDTH: usize = 4;

/// How long a lane begins attempts. Those under way take 5 s more, and its deliveries are leased for 20 s.
const LIFETIME: Duration = Duration::from_secs(10);

/// All lanes.
pub struct Lanes {
    sender: Arc<Sender>,
    by_endpoint: HashMap<Uuid, Lane>,
    under_way: JoinSet<Attempt>,
}

struct Lane {
    tenant: Uuid,
    ends: Instant,
    waiting: VecDeque<Delivery>,
    under_way: usize,
}

impl Lanes {
    pub fn new(sender: Arc<Sender>) -> Self {
        Self { sender, by_endpoint: HashMap::new(), under_way: JoinSet::new() }
    }

    /// Whether nothing is under way.
    pub fn is_idle(&self) -> bool {
        self.under_way.is_empty()
    }

    /// How many more lanes there may be.
    pub fn free(&self) -> usize {
        LANES.saturating_sub(self.by_endpoint.len())
    }

    /// The endpoints that have a lane.
    pub fn endpoints(&self) -> Vec<Uuid> {
        self.by_endpoint.keys().copied().collect()
    }

    /// The tenant of each lane.
    pub fn tenants(&self) -> Vec<Uuid> {
        self.by_endpoint.values().map(|lane| lane.tenant).collect()
    }

    /// Opens lanes for deliveries, which begin no attempt after `end`.
    pub fn open(&mut self, deliveries: Vec<Delivery>, end: Instant) {
        let ends = end.min(Instant::now() + LIFETIME);
        for delivery in deliveries {
            let new = || Lane { tenant: delivery.tenant_id, ends, waiting: VecDeque::new(), under_way: 0 };
            self.by_endpoint.entry(delivery.endpoint_id).or_insert_with(new).waiting.push_back(delivery);
        }
        for lane in self.by_endpoint.values_mut() {
            lane.advance(&self.sender, &mut self.under_way);
        }
    }

    /// Waits for attempts to end, at most so long, and gives their outcome. A lane that has failed, or lived long enough,
    /// gives its other deliveries back.
    pub async fn outcomes(&mut self, patience: Duration) -> Vec<Attempt> {
        let mut ended = Vec::new();
        let mut next = timeout(patience, self.under_way.join_next()).await.ok().flatten();
        while let Some(attempt) = next {
            match attempt {
                Ok(attempt) => ended.push(attempt),
                Err(error) => tracing::error!(%error, "an attempt failed"),
            }
            next = self.under_way.try_join_next();
        }
        let mut given_back = Vec::new();
        for attempt in &ended {
            let Some(lane) = self.by_endpoint.get_mut(&attempt.endpoint_id()) else { continue };
            lane.under_way -= 1;
            if attempt.succeeded() && Instant::now() < lane.ends {
                lane.advance(&self.sender, &mut self.under_way);
            } else {
                given_back.extend(lane.waiting.drain(..).map(Delivery::unmade));
            }
        }
        self.by_endpoint.retain(|_, lane| lane.under_way > 0);
        ended.append(&mut given_back);
        ended
    }
}

impl Lane {
    fn advance(&mut self, sender: &Arc<Sender>, under_way: &mut JoinSet<Attempt>) {
        while self.under_way < WIDTH
            && let Some(delivery) = self.waiting.pop_front()
        {
            let sender = sender.clone();
            under_way.spawn(async move { sender.attempt(delivery).await });
            self.under_way += 1;
        }
    }
}
