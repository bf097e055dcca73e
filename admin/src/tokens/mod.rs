//! `tinychat tokens`: the keys that sign a tenant's user tokens, and whether the tenant requires tokens. A key's secret
//! is shown only when the key is created.

use crate::database::{Database, id};
use crate::output::Output;
use admin::secret::new_secret;
use admin::user_token::{BLOCK, pads, sign};
use anyhow::{Context, bail};
use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;
use serde_json::json;
use shared::db::Param;
use shared::model::Timestamp;
use std::io::{IsTerminal, Read};
use tabled::Tabled;
use tokio_postgres::Row;
use tokio_postgres::types::Type;
use uuid::Uuid;

/// The environment variable with the secret for `sign`. Without it, the secret comes from standard input.
const SECRET: &str = "TINYCHAT_TOKEN_SECRET";

#[derive(Subcommand)]
pub enum Command {
    /// Creates a key for signing user tokens and prints its secret; it can't be shown again
    Create {
        /// The tenant's id
        #[arg(value_parser = id)]
        tenant: Uuid,
    },
    /// Lists a tenant's signing keys, the oldest first
    List {
        /// The tenant's id
        #[arg(value_parser = id)]
        tenant: Uuid,
    },
    /// Revokes a signing key, or all tokens of a user that were issued until now
    #[command(override_usage = "tinychat tokens revoke [OPTIONS] <TENANT> <KID|--user <USER>>")]
    Revoke {
        /// The tenant's id
        #[arg(value_parser = id)]
        tenant: Uuid,
        #[command(flatten)]
        which: Which,
    },
    /// Requires user tokens (`on`), or accepts publishable keys without a token (`off`)
    Require {
        /// The tenant's id
        #[arg(value_parser = id)]
        tenant: Uuid,
        switch: Switch,
    },
    /// Signs a token for testing, with the key's secret from `TINYCHAT_TOKEN_SECRET` or standard input
    Sign {
        /// The tenant's id
        #[arg(value_parser = id)]
        tenant: Uuid,
        /// The key's id
        #[arg(value_parser = id)]
        kid: Uuid,
        /// The user's id at the tenant
        user: String,
        /// The user's role; admin and support have access to all conversations
        #[arg(long, value_parser = ["customer", "driver", "admin", "support"])]
        role: Option<String>,
        /// The number of minutes for which the token is valid
        #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=1440))]
        minutes: u64,
    },
}

#[derive(Args)]
#[group(required = true, multiple = false)]
pub struct Which {
    /// The key's id
    #[arg(value_parser = id)]
    kid: Option<Uuid>,
    /// The user's id at the tenant
    #[arg(long)]
    user: Option<String>,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
pub enum Switch {
    On,
    Off,
}

#[derive(Serialize, Tabled)]
struct NewKey {
    kid: Uuid,
    secret: String,
}

#[derive(Serialize, Tabled)]
struct Key {
    kid: Uuid,
    state: String,
    created_at: Timestamp,
    #[tabled(display("tabled::derive::display::option", "-"))]
    revoked_at: Option<Timestamp>,
}

impl TryFrom<&Row> for Key {
    type Error = tokio_postgres::Error;

    fn try_from(row: &Row) -> Result<Self, Self::Error> {
        Ok(Self {
            kid: row.try_get("id")?,
            state: row.try_get("state")?,
            created_at: row.try_get("created_at")?,
            revoked_at: row.try_get("revoked_at")?,
        })
    }
}

/// The subject of the error if there is no key to revoke or to sign with.
const NO_KEY: &str = "valid key of this tenant";

pub async fn run(command: Command, database: &Database, output: &Output) -> anyhow::Result<()> {
    match command {
        Command::Create { tenant } => {
            let new = NewKey { kid: Uuid::new_v4(), secret: new_secret() };
            let [inner, outer] = pads(&new.secret);
            let params: [Param; 4] =
                [(&tenant, Type::UUID), (&new.kid, Type::UUID), (&inner, Type::BYTEA), (&outer, Type::BYTEA)];
            database.found(include_str!("create.sql"), &params, "tenant").await?;
            output.item(&new)
        }
        Command::List { tenant } => {
            let rows = database.rows(include_str!("list.sql"), &[(&tenant, Type::UUID)]).await?;
            if rows.is_empty() {
                database.require_tenant(&tenant).await?;
            }
            output.list(&rows.iter().map(Key::try_from).collect::<Result<Vec<_>, _>>()?)
        }
        Command::Revoke { tenant, which: Which { kid: Some(kid), .. } } => {
            let params: [Param; 2] = [(&tenant, Type::UUID), (&kid, Type::UUID)];
            let row = database.found(include_str!("revoke.sql"), &params, NO_KEY).await?;
            output.item(&Key::try_from(&row)?)
        }
        Command::Revoke { tenant, which: Which { user, .. } } => {
            let user = user.context("add --user or a key's id")?;
            let params: [Param; 2] = [(&tenant, Type::UUID), (&user, Type::TEXT)];
            database.found(include_str!("revoke-user.sql"), &params, "tenant").await?;
            let words = format!("All tokens of {user} that were issued until now are revoked.");
            output.done(&words, &json!({ "tenant": tenant, "user": user }))
        }
        Command::Require { tenant, switch } => {
            let on = switch == Switch::On;
            if on {
                database.require_tenant(&tenant).await?;
                let live =
                    "select from tinychat.token_keys where tenant_id = $1 and revoked_at is null limit 1";
                if database.rows(live, &[(&tenant, Type::UUID)]).await?.is_empty() {
                    bail!("the tenant has no signing key: create one with `tinychat tokens create`");
                }
            }
            let sql = "update tinychat.tenants set tokens_required = $2 where id = $1 returning id";
            database.found(sql, &[(&tenant, Type::UUID), (&on, Type::BOOL)], "tenant").await?;
            let words = if on {
                "Requests with a publishable key and no token are refused from now on."
            } else {
                "Publishable keys are accepted without a token."
            };
            output.done(words, &json!({ "tenant": tenant, "tokens_required": on }))
        }
        Command::Sign { tenant, kid, user, role, minutes } => {
            let secret = secret()?;
            check_secret(database, tenant, kid, &secret).await?;
            let token = sign(kid, &secret, &user, role.as_deref(), minutes * 60)?;
            output.done(&token, &json!({ "token": token }))
        }
    }
}

/// Fails if the secret isn't the key's, because the API would refuse its tokens without giving a reason.
async fn check_secret(database: &Database, tenant: Uuid, kid: Uuid, secret: &str) -> anyhow::Result<()> {
    let sql =
        "select inner_pad from tinychat.token_keys where tenant_id = $1 and id = $2 and revoked_at is null";
    let row = database.found(sql, &[(&tenant, Type::UUID), (&kid, Type::UUID)], NO_KEY).await?;
    let [inner, _] = pads(secret);
    if row.try_get::<_, &[u8]>(0)? != inner {
        bail!("the secret isn't that of this key");
    }
    Ok(())
}

fn secret() -> anyhow::Result<String> {
    let text = match std::env::var(SECRET) {
        Ok(text) => text,
        Err(_) if std::io::stdin().is_terminal() => {
            bail!("the key's secret must be in {SECRET} or come from standard input")
        }
        Err(_) => {
            let mut text = String::new();
            std::io::stdin().take(1024).read_to_string(&mut text)?;
            text
        }
    };
    let text = text.trim();
    if text.is_empty() || text.len() > BLOCK {
        bail!("the secret must have 1 to {BLOCK} characters");
    }
    Ok(text.to_owned())
}
