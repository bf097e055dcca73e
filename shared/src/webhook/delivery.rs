//! Deliveries: events that are leased to this process, its attempts, and their outcomes.

use super::recipients;
use super::sender::{Response, Sender};
use crate::db::{Chain, Db};
use crate::route_function::{RouteFunction, SCHEMA};
use crate::{Error, Result, after_response, config, telemetry};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::borrow::Cow;
use std::ops::AddAssign;
use std::sync::{LazyLock, OnceLock};
use tokio_postgres::types::{Json, Type};
use uuid::Uuid;

/// The text of the server-side function that records attempts.
pub const RECORD: &str = include_str!("record.sql");

/// An event to be sent to an endpoint, as `tinychat.webhook_delivery` returns it.
#[derive(Deserialize)]
pub struct Delivery {
    /// The tenant of the event.
    pub tenant_id: Uuid,
    /// The endpoint's id.
    pub endpoint_id: Uuid,
    /// The `webhook-id`, the same in every attempt.
    pub event_id: Uuid,
    url: String,
    secret: String,
    previous_secret: Option<String>,
    payload: String,
    /// The end of the lease, as Postgres wrote it.
    leased_until: String,
    /// Whether the payload also gets the message's recipients.
    #[serde(default)]
    recipients: bool,
}

/// The outcome of a delivery.
#[derive(Serialize, Debug)]
pub struct Attempt {
    endpoint_id: Uuid,
    event_id: Uuid,
    leased_until: String,
    made: bool,
    #[serde(flatten)]
    response: Response,
}

/// The effects of recorded attempts.
#[derive(Default)]
pub struct Recorded {
    /// Events that became dead letters.
    pub dead: i64,
    /// Endpoints that were disabled.
    pub disabled: i64,
}

impl Delivery {
    /// The payload's size in bytes, without recipients.
    pub fn bytes(&self) -> usize {
        self.payload.len()
    }

    /// The payload, with the recipients if the endpoint wants them.
    async fn full_payload(&self, db: &Db) -> Result<Cow<'_, str>> {
        if !self.recipients {
            return Ok(Cow::Borrowed(&self.payload));
        }
        recipients::add(db, self.tenant_id, &self.payload).await.map(Cow::Owned)
    }

    /// Attempts the delivery. An attempt with a shortened timeout that gets no response in that time doesn't count.
    pub async fn attempt(self, db: &Db, sender: &Sender) -> Attempt {
        let secrets = [Some(&self.secret), self.previous_secret.as_ref()];
        let secrets: Result<Vec<_>, _> = secrets.into_iter().flatten().map(|text| text.parse()).collect();
        let response = match (secrets, self.full_payload(db).await) {
            (Ok(secrets), Ok(payload)) => {
                sender.send(&self.url, &self.event_id.to_string(), &secrets, &payload).await
            }
            (Err(invalid), _) => Response { text: invalid.to_string(), ..Response::default() },
            (_, Err(error)) => {
                tracing::error!(tenant = %self.tenant_id, error = %Chain(&error), "recipients were not read");
                Response {
                    text: "not sent: its recipients could not be read".to_owned(),
                    ..Response::default()
                }
            }
        };
        let cut_short = sender.has_short_timeout() && response.late && response.status.is_none();
        Attempt { made: !cut_short, response, ..self.unmade() }
    }

    /// Gives the delivery back without an attempt.
    pub fn unmade(self) -> Attempt {
        Attempt {
            endpoint_id: self.endpoint_id,
            event_id: self.event_id,
            leased_until: self.leased_until,
            made: false,
            response: Response::default(),
        }
    }
}

impl Attempt {
    /// Whether an attempt was made that counts.
    pub fn was_made(&self) -> bool {
        self.made
    }

    /// Whether the endpoint accepted the event.
    pub fn succeeded(&self) -> bool {
        self.response.succeeded()
    }

    /// The endpoint's id.
    pub fn endpoint_id(&self) -> Uuid {
        self.endpoint_id
    }
}

impl AddAssign for Recorded {
    fn add_assign(&mut self, other: Self) {
        self.dead += other.dead;
        self.disabled += other.disabled;
    }
}

impl Recorded {
    /// Prints the metrics of dead letters and disabled endpoints, as deliver-webhooks does for its own attempts.
    fn print(&self) {
        if self.dead == 0 && self.disabled == 0 {
            return;
        }
        let metrics = [("webhook_dead_letters", "Count"), ("webhook_endpoints_disabled", "Count")];
        let line = json!({
            "_aws": telemetry::embedded_metrics(&["stack"], &metrics),
            "stack": config::optional("STACK").unwrap_or_default(),
            "webhook_dead_letters": self.dead,
            "webhook_endpoints_disabled": self.disabled,
        });
        println!("{line}");
    }
}

/// Records the outcomes of deliveries.
pub async fn record(db: &Db, attempts: &[Attempt]) -> Result<Recorded> {
    static CALL: LazyLock<Option<String>> = LazyLock::new(|| {
        RouteFunction::parse(RECORD).map(|function| format!("select * from {SCHEMA}.{}($1)", function.name))
    });
    let call = CALL.as_deref().ok_or_else(|| Error::Database("record.sql defines no function".into()))?;
    let rows = db.run(call, &[(&Json(attempts), Type::JSON)]).await?;
    rows.first().map_or_else(
        || Ok(Recorded::default()),
        |row| Ok(Recorded { dead: row.try_get("dead")?, disabled: row.try_get("disabled")? }),
    )
}

/// Attempts, after the response, the deliveries that a statement has leased to this function in its column
/// `deliveries`.
pub fn deliver(db: &Db, deliveries: Option<Json<Vec<Delivery>>>) {
    for delivery in deliveries.into_iter().flat_map(|Json(deliveries)| deliveries) {
        let db = db.clone();
        after_response::defer(async move {
            let (tenant, event) = (delivery.tenant_id, delivery.event_id);
            let Some(sender) = sender() else { return };
            let attempt = delivery.attempt(&db, sender).await;
            match record(&db, &[attempt]).await {
                Ok(recorded) => recorded.print(),
                Err(error) => {
                    tracing::error!(%tenant, %event, error = %Chain(&error), "an attempt was not recorded");
                }
            }
        });
    }
}

/// The sender of this process, made when it is first needed.
fn sender() -> Option<&'static Sender> {
    static SENDER: OnceLock<Option<Sender>> = OnceLock::new();
    let make = || {
        Sender::from_env()
            .inspect_err(|error| tracing::error!(%error, "this function delivers no webhooks"))
            .ok()
    };
    SENDER.get_or_init(|| make().map(Sender::with_short_timeout)).as_ref()
}
