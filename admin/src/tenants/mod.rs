//! `tinychat tenants`: the apps that use this deployment.

use crate::database::{Database, id};
use crate::keys::{Kind, NewKey};
use crate::output::Output;
use crate::rights::export;
use crate::tokens::Switch;
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
    /// Creates a tenant and its first API key, and prints the key; it can't be shown again
    Create {
        /// The tenant's name, which get-config returns to its apps
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        name: String,
        /// Creates no key; `tinychat keys create` can create one later
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
    /// Sets the maximum number of messages that a tenant may send in a calendar month
    Limit {
        /// The tenant's id
        #[arg(value_parser = id)]
        tenant: Uuid,
        /// The number of messages; without it, the limit is removed
        #[arg(value_parser = value_parser!(i64).range(1..))]
        messages: Option<i64>,
    },
    /// Limits each sender to 20 messages in 10 s per conversation; more are refused with 429
    Guard {
        /// The tenant's id
        #[arg(value_parser = id)]
        tenant: Uuid,
        switch: Switch,
    },
    /// Sets the number of days after which a tenant's messages are removed
    Retention {
        /// The tenant's id
        #[arg(value_parser = id)]
        tenant: Uuid,
        /// The number of days for which messages are kept, or `off` to keep them forever
        #[arg(value_name = "DAYS|off", value_parser = days)]
        days: Days,
    },
    /// Prints all users, conversations and messages of a tenant as JSON lines, the format of `tinychat import`
    Export {
        /// The tenant's id
        #[arg(value_parser = id)]
        tenant: Uuid,
    },
    /// Suspends a tenant: its requests are refused with 403
    Suspend {
        /// The tenant's id
        #[arg(value_parser = id)]
        tenant: Uuid,
    },
    /// Activates a suspended tenant; or a tenant over its limit, until the next run of check-usage
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

/// A single tenant.
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

/// Selects one tenant or all.
const LIST: &str = include_str!("list.sql");

pub async fn run(command: Command, database: &Database, output: &Output) -> anyhow::Result<()> {
    match command {
        Command::Create { name, no_key: false } => {
            let (id, key) = create(database, &name).await?;
            output.item(&NewTenant { tenant: tenant(database, id).await?, key })
        }
        Command::Create { name, no_key: true } => {
            let sql = "insert into tinychat.tenants (name) values ($1) returning id";
            change(database, sql, &[(&name, Type::TEXT)], output).await
        }
        Command::List => {
            let rows = database.rows(LIST, &[(&None::<Uuid>, Type::UUID)]).await?;
            output.list(&rows.iter().map(Tenant::try_from).collect::<Result<Vec<_>, _>>()?)
        }
        Command::Show { tenant } => show(database, tenant, output).await,
        Command::Limit { tenant, messages } => {
            let params: [Param; 2] = [(&tenant, Type::UUID), (&messages, Type::INT8)];
            change(database, include_str!("limit.sql"), &params, output).await
        }
        Command::Guard { tenant, switch } => {
            let on = switch == Switch::On;
            let sql = "update tinychat.tenants set guard = $2 where id = $1 returning id";
            change(database, sql, &[(&tenant, Type::UUID), (&on, Type::BOOL)], output).await
        }
        Command::Retention { tenant, days: Days(days) } => {
            let sql = "update tinychat.tenants set retention_days = $2 where id = $1 returning id";
            change(database, sql, &[(&tenant, Type::UUID), (&days, Type::INT4)], output).await
        }
        Command::Export { tenant } => export::tenant(database, tenant).await,
        Command::Suspend { tenant } => set_status(database, tenant, "suspended", output).await,
        Command::Activate { tenant } => set_status(database, tenant, "active", output).await,
    }
}

/// Creates a tenant, and returns its id and first key.
pub async fn create(database: &Database, name: &str) -> anyhow::Result<(Uuid, String)> {
    let new = NewKey::make(Kind::Live, false)?;
    let mut params: Vec<Param> = vec![(&name, Type::TEXT)];
    params.extend(new.params());
    let row = database.row(include_str!("create.sql"), &params).await?;
    Ok((row.try_get("id")?, new.key))
}

async fn set_status(database: &Database, tenant: Uuid, status: &str, output: &Output) -> anyhow::Result<()> {
    let sql = "update tinychat.tenants set status = $2 where id = $1 returning id";
    change(database, sql, &[(&tenant, Type::UUID), (&status, Type::TEXT)], output).await
}

/// Runs a statement that changes a tenant and returns its id, and shows the tenant.
async fn change(database: &Database, sql: &str, params: &[Param<'_>], output: &Output) -> anyhow::Result<()> {
    let row = database.found(sql, params, "tenant").await?;
    show(database, row.try_get("id")?, output).await
}

async fn show(database: &Database, id: Uuid, output: &Output) -> anyhow::Result<()> {
    let tenant = &tenant(database, id).await?;
    let retention = tenant.retention_days.map_or("-".to_owned(), |days| format!("{days} days"));
    output.item(&Shown { tenant, guarded: tenant.guard, retention })
}

async fn tenant(database: &Database, id: Uuid) -> anyhow::Result<Tenant> {
    let row = database.found(LIST, &[(&id, Type::UUID)], "tenant").await?;
    Ok(Tenant::try_from(&row)?)
}
