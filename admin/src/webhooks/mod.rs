//! `tinychat webhooks`: a tenant's webhook endpoints and the deliveries to them.

pub mod listen;

use crate::database::{Database, id};
use crate::output::{Failure, Output};
use crate::tokens::Switch;
use admin::secret::new_webhook_secret;
use anyhow::{anyhow, bail};
use clap::{ArgGroup, Args, Subcommand, ValueEnum};
use listen::Listen;
use serde::Serialize;
use serde_json::json;
use shared::db::Param;
use shared::model::Timestamp;
use shared::webhook::{Response, Sender};
use std::time::SystemTime;
use tabled::Tabled;
use tabled::derive::display::option;
use tokio_postgres::Row;
use tokio_postgres::types::Type;
use uuid::Uuid;

/// The maximum length of a response in a table, in characters.
const SNIPPET: usize = 60;

#[derive(Subcommand)]
pub enum Command {
    /// Registers an endpoint and prints its signing secret; it can't be shown again
    Create {
        /// The tenant's id
        #[arg(value_parser = id)]
        tenant: Uuid,
        /// The endpoint's URL
        url: String,
        /// A type of event to deliver; by default all
        #[arg(long = "event", value_enum)]
        events: Vec<Event>,
        /// Adds the recipients of a new message to its event, with their FCM tokens, for push notifications
        #[arg(long)]
        recipients: bool,
    },
    /// Changes an endpoint's URL or its events
    #[command(
        group = ArgGroup::new("change").required(true).multiple(true),
        override_usage = "tinychat webhooks set [OPTIONS] <TENANT> <ENDPOINT> <--url <URL>|--event <EVENT>|--recipients <on|off>>"
    )]
    Set {
        #[command(flatten)]
        of: Endpoint,
        /// The endpoint's new URL
        #[arg(long, group = "change")]
        url: Option<String>,
        /// A type of event to deliver, instead of the earlier ones
        #[arg(long = "event", value_name = "EVENT", group = "change", value_enum)]
        events: Vec<Event>,
        /// Whether events of new messages contain the message's recipients
        #[arg(long, group = "change", value_enum)]
        recipients: Option<Switch>,
    },
    /// Lists a tenant's endpoints, the oldest first
    List {
        /// The tenant's id
        #[arg(value_parser = id)]
        tenant: Uuid,
    },
    /// Sends an event of type `test` from this machine to an endpoint, and shows the response
    Test(Endpoint),
    /// Receives events on this machine, verifies them with the secret from `WEBHOOK_SECRET` or standard input, and
    /// prints a line for each
    Listen(Listen),
    /// Replaces the signing secret and prints the new one; it can't be shown again
    Rotate {
        #[command(flatten)]
        of: Endpoint,
        /// The number of hours for which the old secret also signs
        #[arg(long, default_value_t = 24)]
        overlap: u16,
    },
    /// Stops deliveries to an endpoint; waiting events are dropped after three days
    Disable(Endpoint),
    /// Enables an endpoint again; waiting events are delivered once it has accepted a first one
    Enable(Endpoint),
    /// Deletes an endpoint and all its deliveries; `disable` keeps both
    Delete(Endpoint),
    /// Shows a tenant's deliveries, the newest first
    Deliveries {
        /// The tenant's id
        #[arg(value_parser = id)]
        tenant: Uuid,
        /// Shows only this endpoint's deliveries
        #[arg(long, value_parser = id)]
        endpoint: Option<Uuid>,
        /// The number of deliveries
        #[arg(long, default_value_t = 20)]
        limit: u16,
    },
    /// Delivers one event again, or all events since a time, whatever their outcome was
    #[command(
        group = ArgGroup::new("which").required(true),
        override_usage = "tinychat webhooks replay [OPTIONS] <TENANT> <EVENT|--since <SINCE>>"
    )]
    Replay {
        /// The tenant's id
        #[arg(value_parser = id)]
        tenant: Uuid,
        /// The event's id
        #[arg(group = "which", value_parser = id)]
        event: Option<Uuid>,
        /// The earliest time of the events, such as 2026-11-24T10:00:00Z
        #[arg(long, group = "which", value_parser = time)]
        since: Option<Timestamp>,
        /// Delivers only to this endpoint
        #[arg(long, value_parser = id)]
        endpoint: Option<Uuid>,
    },
}

#[derive(Args)]
pub struct Endpoint {
    /// The tenant's id
    #[arg(value_parser = id)]
    tenant: Uuid,
    /// The endpoint's id
    #[arg(value_parser = id)]
    endpoint: Uuid,
}

#[derive(Clone, Copy, ValueEnum)]
pub enum Event {
    #[value(name = "message.created")]
    Created,
    #[value(name = "message.updated")]
    Updated,
    #[value(name = "message.deleted")]
    Deleted,
    #[value(name = "conversation.updated")]
    ConversationUpdated,
}

#[derive(Serialize, Tabled)]
struct NewSecret {
    endpoint: Uuid,
    secret: String,
}

#[derive(Serialize, Tabled)]
struct Shown {
    id: Uuid,
    url: String,
    events: String,
    recipients: bool,
    state: String,
    failures: i32,
    waiting: i64,
    created_at: Timestamp,
}

#[derive(Serialize, Tabled)]
struct Delivery {
    event: Uuid,
    endpoint: Uuid,
    #[tabled(rename = "type")]
    r#type: String,
    state: String,
    attempts: i32,
    #[tabled(display("option", "-"))]
    status: Option<i32>,
    #[tabled(display("option", "-"))]
    latency_ms: Option<i32>,
    #[tabled(display("snippet"))]
    answer: String,
    #[tabled(display("option", "-"))]
    last_attempt_at: Option<Timestamp>,
    #[tabled(display("option", "-"))]
    next_attempt_at: Option<Timestamp>,
}

#[derive(Serialize, Tabled)]
struct Tested {
    #[tabled(display("option", "-"))]
    status: Option<u16>,
    latency_ms: u64,
    answer: String,
}

impl TryFrom<&Row> for Shown {
    type Error = tokio_postgres::Error;

    fn try_from(row: &Row) -> Result<Self, Self::Error> {
        Ok(Self {
            id: row.try_get("id")?,
            url: row.try_get("url")?,
            events: row.try_get("events")?,
            recipients: row.try_get("recipients")?,
            state: row.try_get("state")?,
            failures: row.try_get("failures")?,
            waiting: row.try_get("waiting")?,
            created_at: row.try_get("created_at")?,
        })
    }
}

impl TryFrom<&Row> for Delivery {
    type Error = tokio_postgres::Error;

    fn try_from(row: &Row) -> Result<Self, Self::Error> {
        Ok(Self {
            event: row.try_get("event_id")?,
            endpoint: row.try_get("endpoint_id")?,
            r#type: row.try_get("type")?,
            state: row.try_get("state")?,
            attempts: row.try_get("attempts")?,
            status: row.try_get("last_status")?,
            latency_ms: row.try_get("last_latency_ms")?,
            answer: row.try_get::<_, Option<_>>("last_answer")?.unwrap_or_default(),
            last_attempt_at: row.try_get("last_attempt_at")?,
            next_attempt_at: row.try_get("next_attempt_at")?,
        })
    }
}

/// The subject of the error if there is no such endpoint.
const NO_ENDPOINT: &str = "endpoint of this tenant";

pub async fn run(command: Command, database: &Database, output: &Output) -> anyhow::Result<()> {
    match command {
        Command::Create { tenant, url, events, recipients } => {
            accept(&url)?;
            let (id, secret) = (Uuid::now_v7(), new_webhook_secret());
            let events = names(if events.is_empty() { Event::value_variants() } else { &events });
            let params: [Param; 6] = [
                (&tenant, Type::UUID),
                (&id, Type::UUID),
                (&url, Type::TEXT),
                (&events, Type::TEXT_ARRAY),
                (&secret, Type::TEXT),
                (&recipients, Type::BOOL),
            ];
            let row = database.found(include_str!("create.sql"), &params, "tenant").await?;
            output.item(&NewSecret { endpoint: row.try_get("id")?, secret })
        }
        Command::Set { of, url, events, recipients } => {
            url.as_deref().map_or(Ok(()), accept)?;
            let events = Some(names(&events)).filter(|events| !events.is_empty());
            let recipients = recipients.map(|switch| switch == Switch::On);
            let values: [Param; 3] =
                [(&url, Type::TEXT), (&events, Type::TEXT_ARRAY), (&recipients, Type::BOOL)];
            change(database, &of, include_str!("set.sql"), &values, output).await
        }
        Command::List { tenant } => {
            let endpoints = endpoints(database, &tenant, None).await?;
            if endpoints.is_empty() {
                database.require_tenant(&tenant).await?;
            }
            output.list(&endpoints)
        }
        Command::Listen(_) => Ok(()), // handled in main, because it needs no database
        Command::Test(of) => test(database, &of, output).await,
        Command::Rotate { of, overlap } => {
            let secret = new_webhook_secret();
            let overlap = f64::from(overlap);
            let mut params = of.params().to_vec();
            params.extend([(&secret as _, Type::TEXT), (&overlap as _, Type::FLOAT8)]);
            let row = database.found(include_str!("rotate.sql"), &params, NO_ENDPOINT).await?;
            output.item(&NewSecret { endpoint: row.try_get("id")?, secret })
        }
        Command::Disable(of) => change(database, &of, include_str!("disable.sql"), &[], output).await,
        Command::Enable(of) => change(database, &of, include_str!("enable.sql"), &[], output).await,
        Command::Delete(of) => {
            let sql = "delete from tinychat.webhook_endpoints where tenant_id = $1 and id = $2 returning id";
            database.found(sql, &of.params(), NO_ENDPOINT).await?;
            output.done(&format!("deleted {}", of.endpoint), &json!({ "deleted": of.endpoint }))
        }
        Command::Deliveries { tenant, endpoint, limit } => {
            let limit = i64::from(limit);
            let params: [Param; 3] = [(&tenant, Type::UUID), (&endpoint, Type::UUID), (&limit, Type::INT8)];
            let rows = database.rows(include_str!("deliveries.sql"), &params).await?;
            if rows.is_empty() {
                require(database, &tenant, endpoint.as_ref()).await?;
            }
            output.list(&rows.iter().map(Delivery::try_from).collect::<Result<Vec<_>, _>>()?)
        }
        Command::Replay { tenant, event, since, endpoint } => {
            let params: [Param; 4] = [
                (&tenant, Type::UUID),
                (&endpoint, Type::UUID),
                (&event, Type::UUID),
                (&since, Type::TIMESTAMPTZ),
            ];
            let row = database.row(include_str!("replay.sql"), &params).await?;
            let (count, disabled): (i64, i64) = (row.try_get("replayed")?, row.try_get("disabled")?);
            if count == 0 && disabled > 0 {
                bail!("the endpoint is disabled: enable it first, with `tinychat webhooks enable`");
            }
            if count == 0 {
                require(database, &tenant, endpoint.as_ref()).await?;
            }
            if count == 0 && event.is_some() {
                return Err(Failure::NoSuch("event of this tenant to replay").into());
            }
            let skipped = if disabled > 0 {
                format!(", {disabled} skipped at disabled endpoints")
            } else {
                String::new()
            };
            output.done(
                &format!("{count} to be delivered again{skipped}"),
                &json!({ "replayed": count, "at_disabled_endpoints": disabled }),
            )
        }
    }
}

impl Endpoint {
    fn params(&self) -> [Param<'_>; 2] {
        [(&self.tenant, Type::UUID), (&self.endpoint, Type::UUID)]
    }
}

async fn test(database: &Database, of: &Endpoint, output: &Output) -> anyhow::Result<()> {
    let row = database.found(include_str!("secrets.sql"), &of.params(), NO_ENDPOINT).await?;
    let secrets = [row.try_get("secret")?, row.try_get::<_, Option<&str>>("previous")?];
    let secrets = secrets.into_iter().flatten().map(str::parse).collect::<Result<Vec<_>, _>>()?;
    let event = json!({ "type": "test", "timestamp": Timestamp::from(SystemTime::now()), "data": {} });
    let id = Uuid::now_v7().to_string();
    let response = sender()?.send(row.try_get("url")?, &id, &secrets, &event.to_string()).await;
    let accepted = response.succeeded();
    let Response { status, latency_ms, text, .. } = response;
    output.item(&Tested { status, latency_ms, answer: text })?;
    if accepted { Ok(()) } else { bail!("the endpoint didn't accept the event") }
}

/// Runs a statement that changes an endpoint, and shows the endpoint.
async fn change(
    database: &Database,
    of: &Endpoint,
    sql: &str,
    values: &[Param<'_>],
    output: &Output,
) -> anyhow::Result<()> {
    database.rows(sql, &[&of.params(), values].concat()).await?;
    match endpoints(database, &of.tenant, Some(of.endpoint)).await?.as_slice() {
        [] => Err(Failure::NoSuch(NO_ENDPOINT).into()),
        [endpoint, ..] => output.item(endpoint),
    }
}

/// Returns one endpoint of a tenant, or all of them.
async fn endpoints(database: &Database, tenant: &Uuid, endpoint: Option<Uuid>) -> anyhow::Result<Vec<Shown>> {
    let params: [Param; 2] = [(tenant, Type::UUID), (&endpoint, Type::UUID)];
    let rows = database.rows(include_str!("list.sql"), &params).await?;
    Ok(rows.iter().map(Shown::try_from).collect::<Result<_, _>>()?)
}

/// Fails unless the tenant exists and has the endpoint.
async fn require(database: &Database, tenant: &Uuid, endpoint: Option<&Uuid>) -> anyhow::Result<()> {
    database.require_tenant(tenant).await?;
    let Some(endpoint) = endpoint else { return Ok(()) };
    let sql = "select from tinychat.webhook_endpoints where tenant_id = $1 and id = $2";
    database.found(sql, &[(tenant, Type::UUID), (endpoint, Type::UUID)], NO_ENDPOINT).await.map(|_| ())
}

/// Fails unless events may be sent to this URL.
fn accept(url: &str) -> anyhow::Result<()> {
    sender()?.accepts(url).map_err(|refusal| Failure::WrongUsage(refusal.to_string()))?;
    Ok(())
}

fn sender() -> anyhow::Result<Sender> {
    Sender::from_env().map_err(|error| anyhow!(error))
}

fn names(events: &[Event]) -> Vec<String> {
    let values = events.iter().filter_map(Event::to_possible_value);
    values.map(|value| value.get_name().to_owned()).collect()
}

fn time(text: &str) -> Result<Timestamp, &'static str> {
    Timestamp::parse(text).ok_or("must be an ISO-8601 time")
}

/// Returns the beginning of a response.
fn snippet(text: &str) -> String {
    let start: String = text.chars().take(SNIPPET).collect();
    if start.len() < text.len() { start + "…" } else { start }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snippet_is_short() {
        assert_eq!(snippet(&"ä".repeat(60)), "ä".repeat(60));
        assert_eq!(snippet(&"ä".repeat(61)), "ä".repeat(60) + "…");
    }
}
