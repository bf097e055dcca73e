//! `tinychat usage`: the usage of tenants in a month or on a day.

use crate::database::{Database, id};
use crate::output::Output;
use chrono::{Datelike, NaiveDate};
use clap::Args;
use serde::{Serialize, Serializer};
use shared::config;
use shared::db::Param;
use std::collections::HashMap;
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
    /// Shows the shares of requests with a publishable key, a secret key and a user token
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
    /// The size of uploaded images, in bytes. `None` if the database isn't Supabase's, where the sizes are stored.
    #[tabled(rename = "bytes", display("tabled::derive::display::option", "-"))]
    storage_bytes: Option<i64>,
}

impl Used {
    /// Converts a row, without the size of images.
    fn from_row(row: &Row) -> Result<Self, tokio_postgres::Error> {
        Ok(Self {
            tenant: row.try_get("id")?,
            name: row.try_get("name")?,
            status: row.try_get("status")?,
            messages: row.try_get("messages")?,
            message_limit: row.try_get("message_limit")?,
            conversations: row.try_get("conversations")?,
            users: row.try_get("users")?,
            storage_bytes: None,
        })
    }
}

/// The requests with one kind of credential: a number in JSON, a share of all requests in a table.
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

pub async fn run(usage: Usage, database: &Database, output: &Output) -> anyhow::Result<()> {
    let period = match usage.period {
        Some(period) => period,
        None => database.row("select to_char(now() at time zone 'UTC', 'YYYY-MM')", &[]).await?.try_get(0)?,
    };
    let (first_day, length) = first_day(&period);
    let params: [Param; 3] = [(&first_day, Type::TEXT), (&length, Type::TEXT), (&usage.tenant, Type::UUID)];
    if usage.credentials {
        let rows = database.rows(include_str!("credentials.sql"), &params).await?;
        let rows = found(database, usage.tenant, rows).await?;
        return output.list(&rows.iter().map(Credentials::try_from).collect::<Result<Vec<_>, _>>()?);
    }
    let rows = database.rows(include_str!("used.sql"), &params).await?;
    let rows = found(database, usage.tenant, rows).await?;
    let mut all = rows.iter().map(Used::from_row).collect::<Result<Vec<_>, _>>()?;
    if let Some(bytes) = storage_bytes(database, &params).await? {
        for used in &mut all {
            used.storage_bytes = Some(bytes.get(&used.tenant.to_string()).copied().unwrap_or_default());
        }
    }
    output.list(&all)
}

/// Returns the sizes of the uploaded images, in bytes, by tenant. `None` if the database isn't Supabase's.
async fn storage_bytes(
    database: &Database,
    params: &[Param<'_>],
) -> anyhow::Result<Option<HashMap<String, i64>>> {
    let sql = "select to_regclass('storage.objects') is not null";
    let is_supabase: bool = database.row(sql, &[]).await?.try_get(0)?;
    if !is_supabase {
        return Ok(None);
    }
    let bucket = config::storage_bucket();
    let params = [params, &[(&bucket as _, Type::TEXT)]].concat();
    let mut sizes = HashMap::new();
    for row in database.rows(include_str!("storage.sql"), &params).await? {
        sizes.insert(row.try_get("tenant")?, row.try_get("bytes")?);
    }
    Ok(Some(sizes))
}

/// Fails if there are no rows and the requested tenant doesn't exist.
async fn found(database: &Database, tenant: Option<Uuid>, rows: Vec<Row>) -> anyhow::Result<Vec<Row>> {
    if let Some(tenant) = tenant.filter(|_| rows.is_empty()) {
        database.require_tenant(&tenant).await?;
    }
    Ok(rows)
}

/// Returns a period's first day, and its length as a Postgres interval.
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
    let is_valid = NaiveDate::parse_from_str(&first_day, "%Y-%m-%d")
        .is_ok_and(|date| date.year() > 0 && date.to_string() == first_day);
    if is_valid { Ok(text.to_owned()) } else { Err("a month looks like 2026-11, a day like 2026-11-28") }
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
    fn a_small_share_isnt_shown_as_zero() {
        for (requests, of, shown) in
            [(0, 0, "0.0 %"), (1, 9_999, "<0.1 %"), (2, 3, "66.7 %"), (5, 5, "100.0 %")]
        {
            assert_eq!(Share { requests, of }.to_string(), shown);
        }
    }
}
