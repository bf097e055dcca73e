//! `tinychat usage`: the usage of tenants in a month or on a day.

use crate::database::{Database, id};
use crate::output::Output;
use anyhow::Context;
use chrono::{Datelike, NaiveDate};
use clap::Args;
use serde::{Serialize, Serializer};
use shared::config;
use shared::db::Param;
use std::fmt::{self, Display, Formatter};
use tabled::Tabled;
use tokio_postgres::Row;
use tokio_postgres::types::Type;
use uuid::Uuid;

#[derive(Args)]
pub struct Usage {
    /// The month or the day, such as 2026-11 or 2026-11-28, in UTC; by default this month
    #[arg(value_parser = period)]
    period: Option<String>,
    /// Shows only this tenant
    #[arg(long, value_parser = id)]
    tenant: Option<Uuid>,
    /// Shows how many requests came with a publishable key, a secret key or a user token
    #[arg(long)]
    credentials: bool,
}

#[derive(Serialize, Tabled)]
struct Used {
    tenant: Uuid,
    name: String,
    status: String,
    /// Messages sent, including deleted ones.
    messages: i64,
    #[tabled(rename = "limit", display("tabled::derive::display::option", "-"))]
    message_limit: Option<i64>,
    /// Conversations created.
    conversations: i64,
    /// Users who sent a message.
    users: i64,
    /// The size of uploaded images, in bytes. `None` if the database isn't Supabase's: no other knows the size.
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

/// $1 is the first day, as text; $2 a tenant or null; $3 the period's length; $4 the bucket.
const USED: &str = "
    select t.id, t.name, t.status, t.message_limit, m.messages, m.users, c.conversations, s.storage_bytes
    from (select $1::timestamp at time zone 'UTC' as since) beginning
    cross join lateral (select ($1::timestamp + $3::interval) at time zone 'UTC' as until) ending
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
    where o.bucket_id = $4 and o.name like t.id || '/%'
        and o.created_at >= since and o.created_at < until";

const NO_STORAGE: &str = "select null::bigint as storage_bytes";

/// The requests with one kind of credential: a number for programs, a share of all requests for people.
struct Share {
    requests: i64,
    of: i64,
}

impl Serialize for Share {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.requests.serialize(serializer)
    }
}

impl Display for Share {
    #[expect(clippy::cast_precision_loss, reason = "one decimal is shown")]
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let share = 100.0 * self.requests as f64 / self.of.max(1) as f64;
        if self.requests > 0 && share < 0.1 { write!(f, "<0.1 %") } else { write!(f, "{share:.1} %") }
    }
}

#[derive(Serialize, Tabled)]
struct Credentials {
    tenant: Uuid,
    name: String,
    /// Whether user tokens are `off`, `accepted` or `required`.
    tokens: String,
    publishable: Share,
    secret: Share,
    token: Share,
    /// The last day on which there was a request with a publishable key.
    #[tabled(rename = "last publishable", display("tabled::derive::display::option", "-"))]
    last_publishable: Option<String>,
}

impl TryFrom<&Row> for Credentials {
    type Error = tokio_postgres::Error;

    fn try_from(row: &Row) -> Result<Self, Self::Error> {
        let [publishable, secret, token]: [i64; 3] =
            [row.try_get("publishable")?, row.try_get("secret")?, row.try_get("token")?];
        let share = |requests| Share { requests, of: publishable + secret + token };
        Ok(Self {
            tenant: row.try_get("id")?,
            name: row.try_get("name")?,
            tokens: row.try_get("tokens")?,
            publishable: share(publishable),
            secret: share(secret),
            token: share(token),
            last_publishable: row.try_get("last_publishable")?,
        })
    }
}

/// $1 is the first day, as text; $2 a tenant or null; $3 the period's length.
const CREDENTIALS: &str = "
    select t.id, t.name, requests.*,
        case
            when t.tokens_required then 'required'
            when exists (select from tinychat.token_keys k where k.tenant_id = t.id and k.revoked_at is null) then 'accepted'
            else 'off'
        end as tokens
    from tinychat.tenants t
    cross join lateral (
        select
            coalesce(sum(u.requests) filter (where u.credential = 'publishable'), 0)::bigint as publishable,
            coalesce(sum(u.requests) filter (where u.credential = 'secret'), 0)::bigint as secret,
            coalesce(sum(u.requests) filter (where u.credential = 'token'), 0)::bigint as token,
            max(u.day) filter (where u.credential = 'publishable')::text as last_publishable
        from tinychat.credential_usage u
        where u.tenant_id = t.id and u.day >= $1::date and u.day < $1::date + $3::interval
    ) requests
    where $2 is null or t.id = $2
    order by t.created_at, t.id";

pub async fn run(usage: Usage, database: &Database, output: &Output) -> anyhow::Result<()> {
    let now = database
        .rows(
            "select to_char(now() at time zone 'UTC', 'YYYY-MM') as month,
                to_regclass('storage.objects') is not null as storage",
            &[],
        )
        .await?;
    let now = now.first().context("a statement without a row")?;
    let period = match usage.period {
        Some(period) => period,
        None => now.try_get("month")?,
    };
    let (first_day, length) = first_day(&period);
    let params: [Param; 3] = [(&first_day, Type::TEXT), (&usage.tenant, Type::UUID), (&length, Type::TEXT)];
    if usage.credentials {
        let rows = found(database, usage.tenant, database.rows(CREDENTIALS, &params).await?).await?;
        return output.list(&rows.iter().map(Credentials::try_from).collect::<Result<Vec<_>, _>>()?);
    }
    let sql = USED.replace("STORAGE", if now.try_get("storage")? { STORAGE } else { NO_STORAGE });
    let bucket = config::storage_bucket();
    let params: Vec<Param> = params.into_iter().chain([(&bucket as _, Type::TEXT)]).collect();
    let rows = found(database, usage.tenant, database.rows(&sql, &params).await?).await?;
    output.list(&rows.iter().map(Used::try_from).collect::<Result<Vec<_>, _>>()?)
}

/// Fails if there are no rows and the requested tenant doesn't exist.
async fn found(database: &Database, tenant: Option<Uuid>, rows: Vec<Row>) -> anyhow::Result<Vec<Row>> {
    if let Some(tenant) = tenant.filter(|_| rows.is_empty()) {
        database.require_tenant(&tenant).await?;
    }
    Ok(rows)
}

/// Returns a period's first day, and its length as Postgres reads it.
fn first_day(period: &str) -> (String, &'static str) {
    if period.len() == "2026-11".len() {
        (format!("{period}-01"), "1 month")
    } else {
        (period.to_owned(), "1 day")
    }
}

fn period(text: &str) -> Result<String, &'static str> {
    let (first_day, _) = first_day(text);
    // chrono also accepts other spellings of a date. Postgres has no year 0.
    let is_sound = NaiveDate::parse_from_str(&first_day, "%Y-%m-%d")
        .is_ok_and(|date| date.year() > 0 && date.to_string() == first_day);
    if is_sound { Ok(text.to_owned()) } else { Err("a month looks like 2026-11, a day like 2026-11-28") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_is_a_month_or_a_day() {
        for text in ["2026-11", "2026-01", "2026-11-01", "2028-02-29"] {
            assert_eq!(period(text), Ok(text.to_owned()));
        }
        for text in [
            "",
            "2026",
            "2026-1",
            "2026-00",
            "2026-13",
            "0000-01",
            "26-11",
            "+026-11",
            "2026-02-29",
            "2026-1-05",
        ] {
            assert!(period(text).is_err(), "{text}");
        }
        assert_eq!(first_day("2026-11"), ("2026-11-01".to_owned(), "1 month"));
        assert_eq!(first_day("2026-11-28"), ("2026-11-28".to_owned(), "1 day"));
    }

    #[test]
    fn a_share_that_is_small_isnt_shown_as_none() {
        for (requests, of, shown) in
            [(0, 0, "0.0 %"), (1, 9_999, "<0.1 %"), (2, 3, "66.7 %"), (5, 5, "100.0 %")]
        {
            assert_eq!(Share { requests, of }.to_string(), shown);
        }
    }
}
