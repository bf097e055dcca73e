//! `tinychat role`: database roles that functions log in as. With a second role, a password can be changed without an
//! outage.

use crate::database::Database;
use crate::output::{Failure, Output};
use admin::secret::new_secret;
use anyhow::{Context, bail, ensure};
use clap::Subcommand;
use postgres_protocol::password::scram_sha_256;
use serde::Serialize;
use tabled::Tabled;
use tokio_postgres::Row;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::Type;

/// The role that has the functions' rights. supabase/migrations creates it.
const GROUP: &str = "tinychat_functions";

#[derive(Subcommand)]
pub enum Command {
    /// Creates a role with the rights of the functions, and prints its password; it can't be shown again
    Create {
        /// The role's name, such as `tinychat_functions_b`
        #[arg(value_parser = parse_name)]
        name: String,
    },
    /// Drops a role that `create` has created
    Drop {
        /// The role's name
        #[arg(value_parser = parse_name)]
        name: String,
        /// Drops the role even while connections use it
        #[arg(long)]
        force: bool,
    },
}

#[derive(Serialize, Tabled)]
struct NewRole {
    role: String,
    password: String,
}

/// A role that functions log in as, or the group of these roles.
pub struct Role {
    pub name: String,
    pub may_log_in: bool,
    /// Settings such as `statement_timeout=5s`.
    pub settings: Vec<String>,
    /// The number of open connections.
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

/// Returns the group and its members that were created for functions.
pub async fn roles(database: &Database) -> anyhow::Result<(Role, Vec<Role>)> {
    let rows = database.rows(include_str!("list.sql"), &[]).await?;
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
    let password = new_secret();
    // The server gets only a hash, because it may log the statement.
    let hash = scram_sha_256(password.as_bytes());
    let transaction = database.client.transaction().await?;
    let create = format!("create role {name} login password '{hash}' in role {GROUP}");
    match transaction.batch_execute(&create).await {
        Err(error) if error.code() == Some(&SqlState::DUPLICATE_OBJECT) => {
            bail!("the role {name} already exists")
        }
        created => created.context("DATABASE_URL must be that of the schema's owner")?,
    }
    // Members inherit rights but no settings. `set_config` accepts lists, such as that of search_path.
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
    let sessions = role.ok_or(Failure::NoSuch("role that `tinychat role create` created"))?.sessions;
    ensure!(
        force || sessions == 0,
        "{name} has {sessions} open connections: deploy the functions with another role and wait until these connections \
        have ended, or add --force"
    );
    database.client.batch_execute(&format!("drop role {name}")).await?;
    output.done(&format!("dropped {name}"), &name)
}

/// Parses the name of a role. Such names need no quotes in SQL.
fn parse_name(text: &str) -> Result<String, String> {
    let mut letters = text.bytes();
    let first = letters.next().is_some_and(|first| first.is_ascii_lowercase());
    let rest = letters.all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == b'_');
    if first && rest && text.len() <= 63 && text != GROUP && !text.starts_with("pg_") {
        return Ok(text.to_owned());
    }
    Err("must consist of lower-case letters, digits and underscores, begin with a letter, and not be tinychat_functions"
        .to_owned())
}
