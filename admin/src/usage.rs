//! `tinychat usage`: what tenants have used in a month.

use crate::database::{Database, id};
use crate::output::Output;
use anyhow::Context;
use clap::Args;
use serde::Serialize;
use shared::config;
use shared::db::Param;
use tabled::Tabled;
use tokio_postgres::Row;
use tokio_postgres::types::Type;
use uuid::Uuid;

#[derive(Args)]
pub struct Usage {
    /// The month, such as 2026-11; by default this one, in UTC
    #[arg(value_parser = month)]
    month: Option<String>,
    /// Only this tenant's
    #[arg(long, value_parser = id)]
    tenant: Option<Uuid>,
}

#[derive(Serialize, Tabled)]
struct Used {
    tenant: Uuid,
    name: String,
    status: String,
    /// Sent, deleted ones included.
    messages: i64,
    #[tabled(rename = "limit", display("tabled::derive::display::option", "-"))]
    message_limit: Option<i64>,
    /// Created.
    conversations: i64,
    /// Who sent a message.
    users: i64,
    /// Of images uploaded. None where the database isn't Supabase's, which knows them.
    #[tabled(rename = "bytes", display("tabled::derive::display::option", "-"))]
    storage_bytes: Option<i64>,
}

impl TryFrom<&Row> for Used {
    type Error = tokio_postgres::Error;

    fn try_from(row: &Row) -> Result<Self, Self::Error> {
        Ok(Self {
            tenant: row.try_get("id")?,
            name: row.try_get("name")?,
            status: row.try_get("status")?,
            messages: row.try_get("messages")?,
            message_limit: row.try_get("message_limit")?,
            conversations: row.try_get("conversations")?,
            users: row.try_get("users")?,
            storage_bytes: row.try_get("storage_bytes")?,
        })
    }
}

/// $1 is the month's first day, as text; $2 a tenant or null; $3 the bucket.
const USED: &str = "
    select t.id, t.name, t.status, t.message_limit, m.messages, m.users, c.conversations, s.storage_bytes
    from (select $1::timestamp at time zone 'UTC' as since) month
    cross join lateral (select ($1::timestamp + interval '1 month') at time zone 'UTC' as until) end_of_month
    cross join tinychat.tenants t
    cross join lateral (
        select count(*) as messages, count(distinct sender_id) as users
        from tinychat.messages_between(t.id, since, until)
    ) m
    cross join lateral (
        select count(*) as conversations
        from tinychat.conversations c
        where c.tenant_id = t.id and c.created_at >= since and c.created_at < until
    ) c
    cross join lateral (STORAGE) s
    where $2 is null or t.id = $2
    order by t.created_at, t.id";

/// Supabase keeps a row for each file. A path begins with the tenant's id.
const STORAGE: &str = "
    select coalesce(sum((o.metadata ->> 'size')::bigint), 0)::bigint as storage_bytes
    from storage.objects o
    where o.bucket_id = $3 and o.name like t.id || '/%'
        and o.created_at >= since and o.created_at < until";

const NO_STORAGE: &str = "select null::bigint as storage_bytes";

pub async fn run(usage: Usage, database: &Database, output: &Output) -> anyhow::Result<()> {
    let now = database
        .rows(
            "select to_char(now() at time zone 'UTC', 'YYYY-MM') as month,
                to_regclass('storage.objects') is not null as storage",
            &[],
        )
        .await?;
    let now = now.first().context("a statement without a row")?;
    let month = match usage.month {
        Some(month) => month,
        None => now.try_get("month")?,
    };
    let sql = USED.replace("STORAGE", if now.try_get("storage")? { STORAGE } else { NO_STORAGE });
    let first_day = format!("{month}-01");
    let bucket = config::storage_bucket();
    let params: [Param; 3] = [(&first_day, Type::TEXT), (&usage.tenant, Type::UUID), (&bucket, Type::TEXT)];
    let rows = database.rows(&sql, &params).await?;
    if let Some(tenant) = usage.tenant.filter(|_| rows.is_empty()) {
        database.require_tenant(&tenant).await?;
    }
    output.list(&rows.iter().map(Used::try_from).collect::<Result<Vec<_>, _>>()?)
}

fn month(text: &str) -> Result<String, &'static str> {
    if is_month(text) { Ok(text.to_owned()) } else { Err("a month looks like 2026-11") }
}

/// `2026-11`, and nothing that Postgres would fail at.
fn is_month(text: &str) -> bool {
    let number =
        |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?;
    let parts = text.split_once('-').filter(|(year, month)| year.len() == 4 && month.len() == 2);
    parts.is_some_and(|(year, month)| {
        number(year).is_some_and(|year: u16| year > 0)
            && number(month).is_some_and(|month| (1..=12).contains(&month))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_is_a_year_and_two_digits() {
        assert!(is_month("2026-11") && is_month("2026-01"));
        for text in ["", "2026", "2026-1", "2026-00", "2026-13", "0000-01", "26-11", "2026-11-01", "+026-11"]
        {
            assert!(!is_month(text), "{text}");
        }
    }
}
