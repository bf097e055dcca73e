//! `tinychat tokens`: the keys that sign a tenant's user tokens, and whether the tenant requires tokens. A key's secret
//! is shown once, when it is created.

use crate::database::{Database, id};
use crate::output::{Failure, Output};
use admin::user_token::{BLOCK, new_secret, pads, sign};
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

/// The variable that `sign` reads the secret from, unless it comes from standard input.
const SECRET: &str = "TINYCHAT_TOKEN_SECRET";

#[derive(Subcommand)]
pub enum Command {
    /// Creates a key for signing user tokens and shows its secret once
    Create {
        /// The tenant's id
        #[arg(value_parser = id)]
        tenant: Uuid,
    },
    /// Lists a tenant's keys for signing, the oldest first
    List {
        /// The tenant's id
        #[arg(value_parser = id)]
        tenant: Uuid,
    },
    /// Revokes all tokens of one key, or all tokens of one user that were issued until now
    Revoke {
        /// The tenant's id
        #[arg(value_parser = id)]
        tenant: Uuid,
        #[command(flatten)]
        which: Which,
    },
    /// Sets whether the tenant's users need tokens, or a publishable key is enough
    Require {
        /// The tenant's id
        #[arg(value_parser = id)]
        tenant: Uuid,
        switch: Switch,
    },
    /// Signs a token for testing; the key's secret comes from standard input or `TINYCHAT_TOKEN_SECRET`
    Sign {
        /// The tenant's id
        #[arg(value_parser = id)]
        tenant: Uuid,
        /// The key's id
        #[arg(value_parser = id)]
        kid: Uuid,
        /// The user's id at the tenant
        user: String,
        /// The user's role: admin and support reach all conversations
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

/// Shows the keys in `k`.
const SHOW: &str = "
    select id, created_at, revoked_at, case when revoked_at is null then 'active' else 'revoked' end as state
    from k
    order by created_at, id";

pub async fn run(command: Command, database: &Database, output: &Output) -> anyhow::Result<()> {
    match command {
        Command::Create { tenant } => {
            let new = NewKey { kid: Uuid::new_v4(), secret: new_secret() };
            let [inner, outer] = pads(&new.secret);
            let sql = "insert into tinychat.token_keys (id, tenant_id, inner_pad, outer_pad)
                select $2, id, $3, $4 from tinychat.tenants where id = $1
                returning id";
            let params = [
                (&tenant as _, Type::UUID),
                (&new.kid as _, Type::UUID),
                (&inner as _, Type::BYTEA),
                (&outer as _, Type::BYTEA),
            ];
            if database.rows(sql, &params).await?.is_empty() {
                return Err(Failure::NoSuch("tenant").into());
            }
            output.item(&new)
        }
        Command::List { tenant } => {
            let sql = format!("with k as (select * from tinychat.token_keys where tenant_id = $1) {SHOW}");
            let keys = keys(database, &sql, tenant, None).await?;
            if keys.is_empty() {
                database.require_tenant(&tenant).await?;
            }
            output.list(&keys)
        }
        Command::Revoke { tenant, which: Which { kid: Some(kid), .. } } => {
            let sql = format!(
                "with k as (
                    update tinychat.token_keys set revoked_at = tinychat.now_ms()
                    where tenant_id = $1 and id = $2 and revoked_at is null
                    returning *
                ) {SHOW}"
            );
            match keys(database, &sql, tenant, Some(kid)).await?.as_slice() {
                [] => Err(Failure::NoSuch("live key of this tenant").into()),
                [key, ..] => output.item(key),
            }
        }
        Command::Revoke { tenant, which: Which { user, .. } } => {
            let user = user.context("--user or a key's id")?;
            revoke_user(database, tenant, &user).await?;
            let words = format!("The tokens that {user} has until now are revoked.");
            output.done(&words, &json!({ "tenant": tenant, "user": user }))
        }
        Command::Require { tenant, switch } => {
            let on = switch == Switch::On;
            if on {
                database.require_tenant(&tenant).await?;
                let live =
                    "select from tinychat.token_keys where tenant_id = $1 and revoked_at is null limit 1";
                if database.rows(live, &[(&tenant, Type::UUID)]).await?.is_empty() {
                    bail!(
                        "the tenant has no key to sign tokens with: make one with `tinychat tokens create`"
                    );
                }
            }
            let sql = "update tinychat.tenants set tokens_required = $2 where id = $1 returning id";
            if database.rows(sql, &[(&tenant, Type::UUID), (&on, Type::BOOL)]).await?.is_empty() {
                return Err(Failure::NoSuch("tenant").into());
            }
            let words = if on {
                "Publishable keys alone are refused from now on."
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

async fn revoke_user(database: &Database, tenant: Uuid, user: &String) -> anyhow::Result<()> {
    let sql = "insert into tinychat.token_revocations as r (tenant_id, user_id, issued_before)
        select id, $2, tinychat.now_ms() from tinychat.tenants where id = $1
        on conflict (tenant_id, user_id) do update set issued_before = excluded.issued_before, expires_at = null
        returning tenant_id";
    if database.rows(sql, &[(&tenant, Type::UUID), (user, Type::TEXT)]).await?.is_empty() {
        return Err(Failure::NoSuch("tenant").into());
    }
    Ok(())
}

async fn keys(database: &Database, sql: &str, tenant: Uuid, kid: Option<Uuid>) -> anyhow::Result<Vec<Key>> {
    let mut params: Vec<Param> = vec![(&tenant, Type::UUID)];
    if let Some(kid) = &kid {
        params.push((kid, Type::UUID));
    }
    let rows = database.rows(sql, &params).await?;
    Ok(rows.iter().map(Key::try_from).collect::<Result<_, _>>()?)
}

/// Refuses a secret that isn't the key's, because the API would refuse its tokens without a reason.
async fn check_secret(database: &Database, tenant: Uuid, kid: Uuid, secret: &str) -> anyhow::Result<()> {
    let sql =
        "select inner_pad from tinychat.token_keys where tenant_id = $1 and id = $2 and revoked_at is null";
    let rows = database.rows(sql, &[(&tenant, Type::UUID), (&kid, Type::UUID)]).await?;
    let row = rows.first().ok_or(Failure::NoSuch("live key of this tenant"))?;
    let [inner, _] = pads(secret);
    if row.try_get::<_, &[u8]>(0)? != inner {
        bail!("the secret isn't this key's");
    }
    Ok(())
}

fn secret() -> anyhow::Result<String> {
    let text = match std::env::var(SECRET) {
        Ok(text) => text,
        Err(_) if std::io::stdin().is_terminal() => {
            bail!("{SECRET} must be the key's secret, or it must come by standard input")
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
