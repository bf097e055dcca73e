//! `tinychat tenants`: the apps that use this deployment.

use crate::database::{Database, id};
use crate::keys::{Kind, NewKey};
use crate::output::{Failure, Output};
use crate::rights::export;
use crate::tokens::Switch;
use anyhow::Context;
use clap::builder::NonEmptyStringValueParser;
use clap::{Subcommand, value_parser};
use serde::Serialize;
use shared::db::Param;
use shared::model::Timestamp;
use tabled::Tabled;
use tokio_postgres::Row;
use tokio_postgres::types::Type;
use uuid::Uuid;

#[derive(Subcommand)]
pub enum Command {
    /// Creates a tenant and its first API key, which is shown once
    Create {
        /// The tenant's name; its clients see it
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        name: String,
        /// Creates no key; `tinychat keys create` can do so later
        #[arg(long)]
        no_key: bool,
    },
    /// Lists all tenants, the oldest first
    List,
    /// Shows one tenant
    Show {
        /// The tenant's id
        #[arg(value_parser = id)]
        tenant: Uuid,
    },
    /// Limits the messages that a tenant may send in a calendar month
    Limit {
        /// The tenant's id
        #[arg(value_parser = id)]
        tenant: Uuid,
        /// The number of messages; leave it out to lift the limit
        #[arg(value_parser = value_parser!(i64).range(1..))]
        messages: Option<i64>,
    },
    /// Refuses more than 20 messages in 10 s from one sender to one conversation, with 429
    Guard {
        /// The tenant's id
        #[arg(value_parser = id)]
        tenant: Uuid,
        switch: Switch,
    },
    /// Removes a tenant's messages when they are older than a number of days, from now on
    Retention {
        /// The tenant's id
        #[arg(value_parser = id)]
        tenant: Uuid,
        /// The number of days that a message is kept, or `off` to keep messages forever
        #[arg(value_name = "DAYS|off", value_parser = days)]
        days: Days,
    },
    /// Prints all users, conversations and messages of a tenant as JSON lines, which `tinychat import` reads
    Export {
        /// The tenant's id
        #[arg(value_parser = id)]
        tenant: Uuid,
    },
    /// Refuses a tenant's requests with 403 from now on
    Suspend {
        /// The tenant's id
        #[arg(value_parser = id)]
        tenant: Uuid,
    },
    /// Activates a suspended tenant, or one past its limit until check-usage next runs
    Activate {
        /// The tenant's id
        #[arg(value_parser = id)]
        tenant: Uuid,
    },
}

#[derive(Serialize, Tabled)]
struct Tenant {
    id: Uuid,
    name: String,
    status: String,
    #[tabled(rename = "limit", display("tabled::derive::display::option", "-"))]
    message_limit: Option<i64>,
    #[tabled(rename = "tokens", display("tabled::derive::display::bool", "required", "optional"))]
    tokens_required: bool,
    keys: i64,
    created_at: Timestamp,
    // Too many columns for a list; `Shown` has them.
    #[tabled(skip)]
    guard: bool,
    #[tabled(skip)]
    retention_days: Option<i32>,
}

/// The number of days that messages are kept; `None` means forever.
#[derive(Clone)]
pub struct Days(Option<i32>);

fn days(text: &str) -> Result<Days, &'static str> {
    let number = || text.parse().ok().filter(|days| (1..=36_500).contains(days));
    match text {
        "off" => Ok(Days(None)),
        _ => number().map(|days| Days(Some(days))).ok_or("must be a number of days from 1 to 36500, or off"),
    }
}

/// A tenant by itself.
#[derive(Serialize, Tabled)]
struct Shown<'a> {
    #[serde(flatten)]
    #[tabled(inline)]
    tenant: &'a Tenant,
    #[serde(skip)]
    #[tabled(rename = "guard", display("tabled::derive::display::bool", "on", "off"))]
    guarded: bool,
    #[serde(skip)]
    retention: String,
}

/// A tenant with its first key.
#[derive(Serialize, Tabled)]
struct NewTenant {
    #[serde(flatten)]
    #[tabled(inline)]
    tenant: Tenant,
    key: String,
}

impl TryFrom<&Row> for Tenant {
    type Error = tokio_postgres::Error;

    fn try_from(row: &Row) -> Result<Self, Self::Error> {
        Ok(Self {
            id: row.try_get("id")?,
            name: row.try_get("name")?,
            status: row.try_get("status")?,
            message_limit: row.try_get("message_limit")?,
            tokens_required: row.try_get("tokens_required")?,
            guard: row.try_get("guard")?,
            keys: row.try_get("keys")?,
            created_at: row.try_get("created_at")?,
            retention_days: row.try_get("retention_days")?,
        })
    }
}

/// Completes a statement that has the wanted rows in `t`.
const SHOW: &str = "
    select t.*, (
        select count(*) from tinychat.api_keys k
        where k.tenant_id = t.id and (k.revoked_at is null or k.revoked_at > now())
    ) as keys
    from t
    order by t.created_at, t.id";

/// Creates tenant $1 with a key of hash $2, prefix $3 and kind $4. Neither is created without the other.
const CREATE: &str = "
    with t as (insert into tinychat.tenants (name) values ($1) returning *),
    k as (
        insert into tinychat.api_keys (tenant_id, hash, prefix, kind)
        select id, $2, $3, $4 from t
        returning tenant_id
    )
    select t.*, 1::bigint as keys from t join k on k.tenant_id = t.id";

pub async fn run(command: Command, database: &Database, output: &Output) -> anyhow::Result<()> {
    match command {
        Command::Create { name, no_key: false } => {
            let (tenant, key) = insert(database, &name).await?;
            output.item(&NewTenant { tenant, key })
        }
        Command::Create { name, no_key: true } => {
            let sql = "insert into tinychat.tenants (name) values ($1) returning *";
            one(database, sql, &[(&name, Type::TEXT)], output).await
        }
        Command::List => output.list(&tenants(database, "select * from tinychat.tenants", &[]).await?),
        Command::Show { tenant } => {
            one(database, "select * from tinychat.tenants where id = $1", &[(&tenant, Type::UUID)], output)
                .await
        }
        Command::Limit { tenant, messages } => {
            // check-usage checks tenants that have a limit. It will find one that exceeds a new limit.
            let sql = "update tinychat.tenants
                set message_limit = $2,
                    status = case when $2 is null and status = 'overage' then 'active' else status end
                where id = $1 returning *";
            one(database, sql, &[(&tenant, Type::UUID), (&messages, Type::INT8)], output).await
        }
        Command::Guard { tenant, switch } => {
            let on = switch == Switch::On;
            let sql = "update tinychat.tenants set guard = $2 where id = $1 returning *";
            one(database, sql, &[(&tenant, Type::UUID), (&on, Type::BOOL)], output).await
        }
        Command::Retention { tenant, days: Days(days) } => {
            let sql = "update tinychat.tenants set retention_days = $2 where id = $1 returning *";
            one(database, sql, &[(&tenant, Type::UUID), (&days, Type::INT4)], output).await
        }
        Command::Export { tenant } => export::tenant(database, tenant).await,
        Command::Suspend { tenant } => set_status(database, tenant, "suspended", output).await,
        Command::Activate { tenant } => set_status(database, tenant, "active", output).await,
    }
}

/// Creates a tenant, and returns its id and first key.
pub async fn create(database: &Database, name: &str) -> anyhow::Result<(Uuid, String)> {
    let (tenant, key) = insert(database, name).await?;
    Ok((tenant.id, key))
}

async fn insert(database: &Database, name: &str) -> anyhow::Result<(Tenant, String)> {
    let new = NewKey::make(Kind::Live, false)?;
    let mut params: Vec<Param> = vec![(&name, Type::TEXT)];
    params.extend(new.params());
    let rows = database.rows(CREATE, &params).await?;
    let row = rows.first().context("a statement without a row")?;
    Ok((row.try_into()?, new.key))
}

async fn set_status(database: &Database, tenant: Uuid, status: &str, output: &Output) -> anyhow::Result<()> {
    let sql = "update tinychat.tenants set status = $2 where id = $1 returning *";
    one(database, sql, &[(&tenant, Type::UUID), (&status, Type::TEXT)], output).await
}

async fn one(database: &Database, sql: &str, params: &[Param<'_>], output: &Output) -> anyhow::Result<()> {
    match tenants(database, sql, params).await?.as_slice() {
        [] => Err(Failure::NoSuch("tenant").into()),
        [tenant, ..] => {
            let retention = tenant.retention_days.map_or("-".to_owned(), |days| format!("{days} days"));
            output.item(&Shown { tenant, guarded: tenant.guard, retention })
        }
    }
}

async fn tenants(database: &Database, sql: &str, params: &[Param<'_>]) -> anyhow::Result<Vec<Tenant>> {
    let rows = database.rows(&format!("with t as ({sql}) {SHOW}"), params).await?;
    Ok(rows.iter().map(Tenant::try_from).collect::<Result<_, _>>()?)
}
