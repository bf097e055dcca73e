//! `tinychat keys`: the API keys of a tenant. A key is shown only when it is created, because only its hash is stored.

use crate::database::{Database, id};
use crate::output::Output;
use clap::{Subcommand, ValueEnum};
use serde::Serialize;
use shared::auth::key_hash;
use shared::db::Param;
use shared::model::Timestamp;
use tabled::Tabled;
use tokio_postgres::Row;
use tokio_postgres::types::Type;
use uuid::Uuid;

/// The length of the part of a key that is stored for recognition: `pk_live_` and 8 of its 32 random characters.
const PREFIX: usize = 16;

#[derive(Subcommand)]
pub enum Command {
    /// Creates a key and prints it; it can't be shown again
    Create {
        /// The tenant's id
        #[arg(value_parser = id)]
        tenant: Uuid,
        /// The mode in the key's prefix
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
    /// Creates a key that replaces another one, and prints it; it can't be shown again
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

/// A new key and its stored values.
pub struct NewKey {
    pub key: String,
    kind: &'static str,
    hash: Vec<u8>,
    /// The key's beginning.
    prefix: String,
}

impl NewKey {
    /// Creates a key with 122 random bits.
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

/// The subject of the error if there is no key to rotate or revoke.
const NO_KEY: &str = "valid key of this tenant";

pub async fn run(command: Command, database: &Database, output: &Output) -> anyhow::Result<()> {
    match command {
        Command::Create { tenant, kind, secret } => {
            let new = NewKey::make(kind, secret)?;
            let mut params = vec![(&tenant as _, Type::UUID)];
            params.extend(new.params());
            database.found(include_str!("create.sql"), &params, "tenant").await?;
            output.item(&Shown { key: new.key, tenant })
        }
        Command::List { tenant } => {
            let rows = database.rows(include_str!("list.sql"), &[(&tenant, Type::UUID)]).await?;
            if rows.is_empty() {
                database.require_tenant(&tenant).await?;
            }
            output.list(&rows.iter().map(Key::try_from).collect::<Result<Vec<_>, _>>()?)
        }
        Command::Rotate { tenant, prefix: old, overlap } => {
            let kind = if old.contains("_test_") { Kind::Test } else { Kind::Live };
            let new = NewKey::make(kind, old.starts_with("sk_"))?;
            let overlap = f64::from(overlap);
            let mut params: Vec<Param> =
                vec![(&tenant, Type::UUID), (&old, Type::TEXT), (&overlap, Type::FLOAT8)];
            params.extend(new.params());
            database.found(include_str!("rotate.sql"), &params, NO_KEY).await?;
            output.item(&Shown { key: new.key, tenant })
        }
        Command::Revoke { tenant, prefix } => {
            let params: [Param; 2] = [(&tenant, Type::UUID), (&prefix, Type::TEXT)];
            let row = database.found(include_str!("revoke.sql"), &params, NO_KEY).await?;
            output.item(&Key::try_from(&row)?)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_key_begins_with_its_kind_and_its_stored_prefix_is_short() {
        for (kind, secret, start) in [(Kind::Live, false, "pk_live_"), (Kind::Test, true, "sk_test_")] {
            let NewKey { key, prefix, .. } = NewKey::make(kind, secret).unwrap();
            assert!(key.starts_with(start) && key.starts_with(&prefix));
            assert_eq!((key.len(), prefix.len()), (40, 16));
        }
    }
}
