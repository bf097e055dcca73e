//! `tinychat webhooks`: the endpoints of a tenant's events, and the deliveries to them.

use crate::database::{Database, id};
use crate::listen::Listen;
use crate::output::{Failure, Output};
use crate::tokens::Switch;
use anyhow::{Context, anyhow, bail};
use clap::{ArgGroup, Args, Subcommand, ValueEnum};
use serde::Serialize;
use serde_json::json;
use shared::db::Param;
use shared::model::Timestamp;
use shared::webhook::{Response, Sender, new_secret};
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
    /// Registers an endpoint and shows its signing secret once
    Create {
        /// The tenant's id
        #[arg(value_parser = id)]
        tenant: Uuid,
        /// Where its events are posted to
        url: String,
        /// The events it wants; by default all
        #[arg(long = "event", value_enum)]
        events: Vec<Event>,
        /// Adds the recipients of each new message to its events, with their FCM tokens: for push services
        #[arg(long)]
        recipients: bool,
    },
    /// Changes an endpoint's address or its events
    #[command(
        group = ArgGroup::new("change").required(true).multiple(true),
        override_usage = "tinychat webhooks set [OPTIONS] <TENANT> <ENDPOINT> <--url <URL>|--event <EVENT>|--recipients <on|off>>"
    )]
    Set {
        #[command(flatten)]
        of: Endpoint,
        /// Where its events are posted to
        #[arg(long, group = "change")]
        url: Option<String>,
        /// The events it wants
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
    /// Sends an event of type `test` from here to an endpoint, and shows the response
    Test(Endpoint),
    /// Receives events here, verifies them with the secret from `WEBHOOK_SECRET` or standard input, and prints a line
    /// for each
    Listen(Listen),
    /// Replaces the signing secret and shows the new one once
    Rotate {
        #[command(flatten)]
        of: Endpoint,
        /// The number of hours for which the old secret also signs
        #[arg(long, default_value_t = 24)]
        overlap: u16,
    },
    /// Stops deliveries to an endpoint; events that wait for it are given up after three days
    Disable(Endpoint),
    /// Enables an endpoint again; waiting events follow after it has accepted a first one
    Enable(Endpoint),
    /// Deletes an endpoint and all its deliveries; `disable` keeps them
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
    /// Delivers events again, whatever their outcome was: one event, or all since a time
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
        /// The time at which the first of them was written, such as 2026-11-24T10:00:00Z
        #[arg(long, group = "which", value_parser = time)]
        since: Option<Timestamp>,
        /// Only to this endpoint
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

/// Shows the endpoints in `w`.
const SHOW: &str = "
    select w.id, w.url, array_to_string(w.events, ' ') as events, w.recipients, w.failures, w.created_at,
        case
            when w.disabled_at is not null then 'disabled: ' || w.disabled_reason
            when w.held_until > now() then 'on hold'
            when w.slowness >= 10 then 'slow'
            else 'active'
        end as state,
        (select count(*) from tinychat.webhook_deliveries d where d.endpoint_id = w.id and d.outcome is null) as waiting
    from w
    order by w.created_at, w.id";

const CREATE: &str = "
    insert into tinychat.webhook_endpoints (id, tenant_id, url, events, secret, recipients)
    select $2, id, $3, $4, $5, $6 from tinychat.tenants where id = $1
    returning id";

const ROTATE: &str = "
    update tinychat.webhook_endpoints
    set previous_secret = secret, previous_secret_until = now() + $4 * interval '1 hour', secret = $3
    where tenant_id = $1 and id = $2
    returning id";

const DELIVERIES: &str = "
    select d.event_id, d.endpoint_id, d.type, coalesce(d.outcome, 'waiting') as state, d.attempts, d.last_status,
        d.last_latency_ms, d.last_answer, d.last_attempt_at,
        case when d.outcome is null then d.next_attempt_at end as next_attempt_at
    from tinychat.webhook_endpoints w
    cross join lateral (
        select * from tinychat.webhook_deliveries d where d.endpoint_id = w.id order by d.event_id desc limit $3
    ) d
    where w.tenant_id = $1 and ($2 is null or w.id = $2)
    order by d.event_id desc, d.endpoint_id
    limit $3";

/// Waiting events become due at once, unless they may be leased. A lease is 20 s long, except after a process has died.
/// A disabled endpoint gets no events.
const REPLAY: &str = "
    with chosen as (
        select d.endpoint_id, d.event_id, w.disabled_at is not null as disabled
        from tinychat.webhook_endpoints w
        join tinychat.webhook_deliveries d on d.endpoint_id = w.id
        where w.tenant_id = $1 and ($2 is null or w.id = $2)
            and (d.event_id = $3 or d.created_at >= $4)
            and (w.disabled_at is not null or d.outcome is not null or d.next_attempt_at > now() + interval '20 s')
    ),
    replayed as (
        update tinychat.webhook_deliveries d
        set outcome = null, settled_at = null, attempts = 0, claimed = false, queued_at = now(), next_attempt_at = now()
        from chosen
        where d.endpoint_id = chosen.endpoint_id and d.event_id = chosen.event_id and not chosen.disabled
        returning 1
    )
    select (select count(*) from replayed) as replayed, (select count(*) from chosen where disabled) as disabled";

/// If events are waiting, the endpoint begins as a failing one, so that a single event first shows whether it accepts
/// the others.
const ENABLE: &str = "
    disabled_at = null, disabled_reason = null, held_until = null, failing_since = null, slowness = 0,
    failures = case when exists (
        select from tinychat.webhook_deliveries d where d.endpoint_id = webhook_endpoints.id and d.outcome is null
    ) then tinychat.webhook_failure_threshold() else 0 end";

pub async fn run(command: Command, database: &Database, output: &Output) -> anyhow::Result<()> {
    match command {
        Command::Create { tenant, url, events, recipients } => {
            accept(&url)?;
            let (id, secret) = (Uuid::now_v7(), new_secret());
            let events = names(if events.is_empty() { Event::value_variants() } else { &events });
            let params: [Param; 6] = [
                (&tenant, Type::UUID),
                (&id, Type::UUID),
                (&url, Type::TEXT),
                (&events, Type::TEXT_ARRAY),
                (&secret, Type::TEXT),
                (&recipients, Type::BOOL),
            ];
            show_secret(database, CREATE, &params, secret.clone(), "tenant", output).await
        }
        Command::Set { of, url, events, recipients } => {
            url.as_deref().map_or(Ok(()), accept)?;
            let events = Some(names(&events)).filter(|events| !events.is_empty());
            let recipients = recipients.map(|switch| switch == Switch::On);
            let set = "url = coalesce($3, url), events = coalesce($4, events), recipients = coalesce($5, recipients)";
            let values: [Param; 3] =
                [(&url, Type::TEXT), (&events, Type::TEXT_ARRAY), (&recipients, Type::BOOL)];
            change(database, &of, set, &values, output).await
        }
        Command::List { tenant } => {
            let sql = "select * from tinychat.webhook_endpoints where tenant_id = $1";
            let endpoints = endpoints(database, sql, &[(&tenant, Type::UUID)]).await?;
            if endpoints.is_empty() {
                database.require_tenant(&tenant).await?;
            }
            output.list(&endpoints)
        }
        Command::Listen(_) => Ok(()), // handled in main, because it needs no database
        Command::Test(of) => test(database, &of, output).await,
        Command::Rotate { of, overlap } => {
            let secret = new_secret();
            let overlap = f64::from(overlap);
            let mut params = of.params().to_vec();
            params.extend([(&secret as _, Type::TEXT), (&overlap as _, Type::FLOAT8)]);
            show_secret(database, ROTATE, &params, secret.clone(), NO_ENDPOINT, output).await
        }
        Command::Disable(of) => {
            let set = "disabled_at = coalesce(disabled_at, now()), disabled_reason = 'by an operator'";
            change(database, &of, set, &[], output).await
        }
        Command::Enable(of) => change(database, &of, ENABLE, &[], output).await,
        Command::Delete(of) => {
            let sql = "delete from tinychat.webhook_endpoints where tenant_id = $1 and id = $2 returning id";
            if database.rows(sql, &of.params()).await?.is_empty() {
                return Err(Failure::NoSuch(NO_ENDPOINT).into());
            }
            output.done(&format!("deleted {}", of.endpoint), &json!({ "deleted": of.endpoint }))
        }
        Command::Deliveries { tenant, endpoint, limit } => {
            let limit = i64::from(limit);
            let params: [Param; 3] = [(&tenant, Type::UUID), (&endpoint, Type::UUID), (&limit, Type::INT8)];
            let rows = database.rows(DELIVERIES, &params).await?;
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
            let rows = database.rows(REPLAY, &params).await?;
            let row = rows.first().context("no count")?;
            let (count, disabled): (i64, i64) = (row.try_get("replayed")?, row.try_get("disabled")?);
            if count == 0 && disabled > 0 {
                bail!("the endpoint is disabled: `tinychat webhooks enable` it first");
            }
            if count == 0 {
                require(database, &tenant, endpoint.as_ref()).await?;
            }
            if count == 0 && event.is_some() {
                return Err(Failure::NoSuch("event of this tenant to replay").into());
            }
            let left =
                if disabled > 0 { format!(", {disabled} left at disabled endpoints") } else { String::new() };
            output.done(
                &format!("{count} due again{left}"),
                &json!({ "replayed": count, "at_disabled_endpoints": disabled }),
            )
        }
    }
}

const NO_ENDPOINT: &str = "endpoint of this tenant";

impl Endpoint {
    fn params(&self) -> [Param<'_>; 2] {
        [(&self.tenant, Type::UUID), (&self.endpoint, Type::UUID)]
    }
}

async fn test(database: &Database, of: &Endpoint, output: &Output) -> anyhow::Result<()> {
    let sql =
        "select url, secret, case when previous_secret_until > now() then previous_secret end as previous
        from tinychat.webhook_endpoints where tenant_id = $1 and id = $2";
    let rows = database.rows(sql, &of.params()).await?;
    let row = rows.first().ok_or(Failure::NoSuch(NO_ENDPOINT))?;
    let secrets = [row.try_get("secret")?, row.try_get::<_, Option<&str>>("previous")?];
    let secrets = secrets.into_iter().flatten().map(str::parse).collect::<Result<Vec<_>, _>>()?;
    let event = json!({ "type": "test", "timestamp": Timestamp::from(SystemTime::now()), "data": {} });
    let id = Uuid::now_v7().to_string();
    let response = sender()?.send(row.try_get("url")?, &id, &secrets, &event.to_string()).await;
    let taken = response.succeeded();
    let Response { status, latency_ms, text, .. } = response;
    output.item(&Tested { status, latency_ms, answer: text })?;
    if taken { Ok(()) } else { bail!("the endpoint didn't take the event") }
}

/// Runs a statement that sets an endpoint's secret and returns the endpoint.
async fn show_secret(
    database: &Database,
    sql: &str,
    params: &[Param<'_>],
    secret: String,
    missing: &'static str,
    output: &Output,
) -> anyhow::Result<()> {
    let rows = database.rows(sql, params).await?;
    let row = rows.first().ok_or(Failure::NoSuch(missing))?;
    output.item(&NewSecret { endpoint: row.try_get("id")?, secret })
}

/// Changes an endpoint and shows it.
async fn change(
    database: &Database,
    of: &Endpoint,
    set: &str,
    values: &[Param<'_>],
    output: &Output,
) -> anyhow::Result<()> {
    let sql =
        format!("update tinychat.webhook_endpoints set {set} where tenant_id = $1 and id = $2 returning *");
    let params = [&of.params(), values].concat();
    match endpoints(database, &sql, &params).await?.as_slice() {
        [] => Err(Failure::NoSuch(NO_ENDPOINT).into()),
        [endpoint, ..] => output.item(endpoint),
    }
}

async fn endpoints(database: &Database, sql: &str, params: &[Param<'_>]) -> anyhow::Result<Vec<Shown>> {
    let rows = database.rows(&format!("with w as ({sql}) {SHOW}"), params).await?;
    Ok(rows.iter().map(Shown::try_from).collect::<Result<_, _>>()?)
}

/// Fails unless the tenant exists and has the endpoint.
async fn require(database: &Database, tenant: &Uuid, endpoint: Option<&Uuid>) -> anyhow::Result<()> {
    database.require_tenant(tenant).await?;
    let Some(endpoint) = endpoint else { return Ok(()) };
    let sql = "select from tinychat.webhook_endpoints where tenant_id = $1 and id = $2";
    let rows = database.rows(sql, &[(tenant, Type::UUID), (endpoint, Type::UUID)]).await?;
    if rows.is_empty() { Err(Failure::NoSuch(NO_ENDPOINT).into()) } else { Ok(()) }
}

/// Fails unless events may go to this address.
fn accept(url: &str) -> anyhow::Result<()> {
    sender()?.accepts(url).map_err(|refusal| Failure::WrongUse(refusal.to_string()))?;
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
    Timestamp::parse(text).ok_or("not an ISO-8601 time")
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
