//! `tinychat role`: database roles that functions log in as. With a second role, a password can be changed without an
//! outage.

use crate::database::Database;
use crate::doctor::Fault;
use crate::output::{Failure, Output};
use anyhow::{Context, bail, ensure};
use clap::Subcommand;
use postgres_protocol::password::scram_sha_256;
use serde::Serialize;
use tabled::Tabled;
use tokio_postgres::Row;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::Type;
use uuid::Uuid;

/// The role that has the rights. supabase/migrations creates it.
const GROUP: &str = "tinychat_functions";

#[derive(Subcommand)]
pub enum Command {
    /// Creates a role with the rights of the functions, and shows its password once
    Create {
        /// Its name, such as `tinychat_functions_b`
        #[arg(value_parser = parse_name)]
        name: String,
    },
    /// Drops a role that `create` has made
    Drop {
        /// Its name
        #[arg(value_parser = parse_name)]
        name: String,
        /// Drops it even while connections use it
        #[arg(long)]
        force: bool,
    },
}

#[derive(Serialize, Tabled)]
struct NewRole {
    role: String,
    password: String,
}

/// The group, and its members that were created for functions to log in as. Since Postgres 16, the role that created
/// the group is a member, too, but it may create roles.
const ROLES: &str = "
    select r.rolname::text as name, r.rolcanlogin as may_log_in, coalesce(r.rolconfig, '{}') as settings,
        (select count(*) from pg_stat_activity a where a.usename = r.rolname) as sessions
    from pg_roles r
    where r.rolname = 'tinychat_functions'
        or r.rolcanlogin and not r.rolsuper and not r.rolcreaterole and exists (
            select from pg_auth_members m join pg_roles g on g.oid = m.roleid
            where m.member = r.oid and g.rolname = 'tinychat_functions')
    order by r.rolname";

struct Role {
    name: String,
    may_log_in: bool,
    /// Settings such as `statement_timeout=5s`.
    settings: Vec<String>,
    /// The number of its open connections.
    sessions: i64,
}

impl TryFrom<&Row> for Role {
    type Error = tokio_postgres::Error;

    fn try_from(row: &Row) -> Result<Self, Self::Error> {
        Ok(Self {
            name: row.try_get("name")?,
            may_log_in: row.try_get("may_log_in")?,
            settings: row.try_get("settings")?,
            sessions: row.try_get("sessions")?,
        })
    }
}

/// Returns the group and the other roles.
async fn roles(database: &Database) -> anyhow::Result<(Role, Vec<Role>)> {
    let rows = database.rows(ROLES, &[]).await?;
    let roles: Vec<Role> = rows.iter().map(Role::try_from).collect::<Result<_, _>>()?;
    let (mut group, others): (Vec<_>, Vec<_>) = roles.into_iter().partition(|role| role.name == GROUP);
    let group = group.pop().with_context(|| format!("there is no role {GROUP}: run `tinychat migrate`"))?;
    Ok((group, others))
}

pub async fn run(command: Command, database: &mut Database, output: &Output) -> anyhow::Result<()> {
    match command {
        Command::Create { name } => create(name, database, output).await,
        Command::Drop { name, force } => drop_role(&name, force, database, output).await,
    }
}

async fn create(name: String, database: &mut Database, output: &Output) -> anyhow::Result<()> {
    let (group, _) = roles(database).await?;
    let password = format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
    // The server gets only a hash, because it may log the statement.
    let hash = scram_sha_256(password.as_bytes());
    let transaction = database.client.transaction().await?;
    let create = format!("create role {name} login password '{hash}' in role {GROUP}");
    match transaction.batch_execute(&create).await {
        Err(error) if error.code() == Some(&SqlState::DUPLICATE_OBJECT) => {
            bail!("there is a role {name} already")
        }
        created => created.context("run this as the schema's owner")?,
    }
    // Members inherit rights but no settings. `set_config` reads a list such as search_path as it was written.
    for setting in &group.settings {
        let (setting, value) = setting.split_once('=').context("a setting without a value")?;
        let set = "select pg_catalog.set_config($1, $2, true)";
        transaction.query_typed(set, &[(&setting, Type::TEXT), (&value, Type::TEXT)]).await?;
        transaction.batch_execute(&format!("alter role {name} set {setting} from current")).await?;
    }
    transaction.commit().await?;
    output.item(&NewRole { role: name, password })
}

async fn drop_role(name: &str, force: bool, database: &Database, output: &Output) -> anyhow::Result<()> {
    let (_, others) = roles(database).await?;
    let role = others.iter().find(|role| role.name == name);
    let sessions = role.ok_or(Failure::NoSuch("role that `tinychat role create` made"))?.sessions;
    ensure!(
        force || sessions == 0,
        "{sessions} connections are open as {name}: deploy the functions with another role and wait until theirs have \
        ended, or add --force"
    );
    database.client.batch_execute(&format!("drop role {name}")).await?;
    output.done(&format!("dropped {name}"), &name)
}

/// Checks for the doctor that a role can log in with the functions' rights, and that all such roles have the right
/// settings.
pub async fn examine(database: &Database) -> Result<(String, ()), Fault> {
    let fault = |seen: String| Fault::new("DATABASE_URL", seen, "Make another role: `tinychat role create`");
    let (group, others) =
        roles(database).await.map_err(|error| fault(format!("leads to a database where {error:#}")))?;
    let is_stale = |role: &&Role| !group.settings.iter().all(|setting| role.settings.contains(setting));
    if let Some(role) = others.iter().find(is_stale) {
        let seen = format!("leads to a database where {} lacks settings that {GROUP} has", role.name);
        return Err(fault(seen));
    }
    let names: Vec<_> = [&group].into_iter().chain(&others).filter(|role| role.may_log_in).collect();
    if names.is_empty() {
        return Err(fault("leads to a database where no role for functions may log in".to_owned()));
    }
    let names: Vec<_> = names.iter().map(|role| role.name.as_str()).collect();
    Ok((format!("{} may log in", names.join(", ")), ()))
}

/// Parses a role's name that needs no quotes.
fn parse_name(text: &str) -> Result<String, String> {
    let mut letters = text.bytes();
    let first = letters.next().is_some_and(|first| first.is_ascii_lowercase());
    let rest = letters.all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == b'_');
    if first && rest && text.len() <= 63 && text != GROUP && !text.starts_with("pg_") {
        return Ok(text.to_owned());
    }
    Err("must be small letters, digits and underscores, begin with a letter, and be another than tinychat_functions"
        .to_owned())
}
