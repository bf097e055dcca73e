//! `tinychat users`: what is stored of a tenant's user, exported and erased.

use crate::database::{Database, id};
use crate::output::Output;
use crate::rights::{erase, export};
use clap::Subcommand;
use clap::builder::NonEmptyStringValueParser;
use uuid::Uuid;

#[derive(Subcommand)]
pub enum Command {
    /// Prints a user's profile, conversations and own messages as JSON lines
    Export {
        /// The tenant's id
        #[arg(value_parser = id)]
        tenant: Uuid,
        /// The user's id at the tenant
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        user: String,
    },
    /// Counts what is stored of a user; with --yes, erases it for good
    ///
    /// The profile goes, and the user's messages are deleted with their text and images. In conversations the user becomes an
    /// opaque id. If the command is interrupted, run it again: it goes on. SECURITY.md says what is left.
    Erase {
        /// The tenant's id
        #[arg(value_parser = id)]
        tenant: Uuid,
        /// The user's id at the tenant
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        user: String,
        /// Erases; without it, nothing is changed
        #[arg(long)]
        yes: bool,
    },
}

pub async fn run(command: Command, database: &mut Database, output: &Output) -> anyhow::Result<()> {
    match command {
        Command::Export { tenant, user } => export::user(database, tenant, &user).await,
        Command::Erase { tenant, user, yes: false } => erase::preview(database, tenant, &user, output).await,
        Command::Erase { tenant, user, yes: true } => erase::erase(database, tenant, &user, output).await,
    }
}
