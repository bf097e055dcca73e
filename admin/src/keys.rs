//! `tinychat keys`: the API keys of a tenant. A key is shown once, when it is created. Only its hash is stored.

use crate::database::{Database, id};
use crate::output::{Failure, Output};
use clap::{Subcommand, ValueEnum};
use serde::Serialize;
use shared::auth::key_hash;
use shared::db::Param;
use shared::model::Timestamp;
use tabled::Tabled;
use tokio_postgres::Row;
use tokio_postgres::types::Type;
use uuid::Uuid;

/// The length of the part of a key that is stored to recognise it by: `pk_live_` and 8 of its 32 random characters.
const PREFIX: usize = 16;

#[derive(Subcommand)]
pub enum Command {
    /// Creates a key and shows it once
    Create {
        /// The tenant's id
        #[arg(value_parser = id)]
        tenant: Uuid,
        /// Whether the key is marked as a live or a test key
        #[arg(long, value_enum, default_value = "live")]
        kind: Kind,
        /// Creates a secret key, for the tenant's backend only
        #[arg(long)]
        secret: bool,
    },
    /// Lists a tenant's keys, the oldest first
    List {
        /// The tenant's id
        #[arg(value_parser = id)]
        tenant: Uuid,
    },
    /// Creates a key that replaces another, and shows it once
    Rotate {
        /// The tenant's id
        #[arg(value_parser = id)]
        tenant: Uuid,
        /// The old key, as the list shows it
        prefix: String,
        /// The number of hours for which the old key stays valid
        #[arg(long, default_value_t = 24)]
        overlap: u16,
    },
    /// Revokes a key at once
    Revoke {
        /// The tenant's id
        #[arg(value_parser = id)]
        tenant: Uuid,
        /// The key, as the list shows it
        prefix: String,
    },
}

#[derive(Clone, Copy, ValueEnum)]
pub enum Kind {
    Live,
    Test,
}

/// A new key, with the values that are stored of it.
pub struct NewKey {
    pub key: String,
    kind: &'static str,
    hash: Vec<u8>,
    /// The key's beginning.
    prefix: String,
}

impl NewKey {
    /// Makes a key with 122 random bits.
    pub fn make(kind: Kind, secret: bool) -> anyhow::Result<Self> {
        let form = if secret { "sk" } else { "pk" };
        let mode = match kind {
            Kind::Live => "live",
            Kind::Test => "test",
        };
        let key = format!("{form}_{mode}_{}", Uuid::new_v4().simple());
        let (kind, hash) = key_hash(&key)?;
        Ok(Self { kind: kind.as_str(), hash, prefix: key.chars().take(PREFIX).collect(), key })
    }

    /// The stored columns: hash, prefix and kind.
    pub fn params(&self) -> [Param<'_>; 3] {
        [(&self.hash, Type::BYTEA), (&self.prefix, Type::TEXT), (&self.kind, Type::TEXT)]
    }
}

#[derive(Serialize, Tabled)]
struct Shown {
    key: String,
    tenant: Uuid,
}

#[derive(Serialize, Tabled)]
struct Key {
    prefix: String,
    state: String,
    created_at: Timestamp,
    #[tabled(display("tabled::derive::display::option", "-"))]
    revoked_at: Option<Timestamp>,
}

impl TryFrom<&Row> for Key {
    type Error = tokio_postgres::Error;

    fn try_from(row: &Row) -> Result<Self, Self::Error> {
        Ok(Self {
            prefix: row.try_get("prefix")?,
            state: row.try_get("state")?,
            created_at: row.try_get("created_at")?,
            revoked_at: row.try_get("revoked_at")?,
        })
    }
}

/// Ends the active key $2 of tenant $1 in $3 hours, unless it ends sooner.
const END: &str = "
    update tinychat.api_keys
    set revoked_at = least(revoked_at, tinychat.now_ms() + $3 * interval '1 hour')
    where tenant_id = $1 and prefix = $2 and (revoked_at is null or revoked_at > now())
    returning *";

/// Stores a key with hash $4, prefix $5 and kind $6 in place of the one that ends. Neither happens without the other.
const REPLACE: &str = "
    insert into tinychat.api_keys (tenant_id, hash, prefix, kind)
    select tenant_id, $4, $5, $6 from ended
    returning *";

/// Shows the keys in `k`.
const SHOW: &str = "
    select prefix, created_at, revoked_at,
        case when revoked_at is null then 'active' when revoked_at > clock_timestamp() then 'ends' else 'revoked' end as state
    from k
    order by created_at, prefix";

pub async fn run(command: Command, database: &Database, output: &Output) -> anyhow::Result<()> {
    match command {
        Command::Create { tenant, kind, secret } => {
            let new = NewKey::make(kind, secret)?;
            let sql = "insert into tinychat.api_keys (tenant_id, hash, prefix, kind)
                select id, $2, $3, $4 from tinychat.tenants where id = $1
                returning *";
            let mut params = vec![(&tenant as _, Type::UUID)];
            params.extend(new.params());
            if database.rows(sql, &params).await?.is_empty() {
                return Err(Failure::NoSuch("tenant").into());
            }
            output.item(&Shown { key: new.key, tenant })
        }
        Command::List { tenant } => {
            let sql = format!("with k as (select * from tinychat.api_keys where tenant_id = $1) {SHOW}");
            let keys = keys(database, &sql, &[(&tenant, Type::UUID)]).await?;
            if keys.is_empty() {
                database.require_tenant(&tenant).await?;
            }
            output.list(&keys)
        }
        Command::Rotate { tenant, prefix: old, overlap } => {
            let kind = if old.contains("_test_") { Kind::Test } else { Kind::Live };
            let new = NewKey::make(kind, old.starts_with("sk_"))?;
            let overlap = overlap.into();
            let mut params = ending(&tenant, &old, &overlap).to_vec();
            params.extend(new.params());
            let sql = format!("with ended as ({END}) {REPLACE}");
            if database.rows(&sql, &params).await?.is_empty() {
                return Err(Failure::NoSuch("open key of this tenant").into());
            }
            output.item(&Shown { key: new.key, tenant })
        }
        Command::Revoke { tenant, prefix } => {
            let sql = format!("with k as ({END}) {SHOW}");
            match keys(database, &sql, &ending(&tenant, &prefix, &0.0)).await?.as_slice() {
                [] => Err(Failure::NoSuch("open key of this tenant").into()),
                [key, ..] => output.item(key),
            }
        }
    }
}

/// The first parameters of [`END`].
fn ending<'a>(tenant: &'a Uuid, prefix: &'a String, hours: &'a f64) -> [Param<'a>; 3] {
    [(tenant, Type::UUID), (prefix, Type::TEXT), (hours, Type::FLOAT8)]
}

async fn keys(database: &Database, sql: &str, params: &[Param<'_>]) -> anyhow::Result<Vec<Key>> {
    let rows = database.rows(sql, params).await?;
    Ok(rows.iter().map(Key::try_from).collect::<Result<_, _>>()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_key_says_which_kind_it_is_and_its_prefix_tells_little_of_it() {
        for (kind, secret, start) in [(Kind::Live, false, "pk_live_"), (Kind::Test, true, "sk_test_")] {
            let NewKey { key, prefix, .. } = NewKey::make(kind, secret).unwrap();
            assert!(key.starts_with(start) && key.starts_with(&prefix));
            assert_eq!((key.len(), prefix.len()), (40, 16));
        }
    }
}
