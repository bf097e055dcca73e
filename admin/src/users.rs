//! `tinychat users`: exports and erases the data of a tenant's user.

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
    /// Counts a user's data, or erases it permanently with --yes
    ///
    /// The profile is removed, and the user's messages are deleted with their text and images. In conversations, an
    /// opaque id replaces the user's id. If the command is interrupted, run it again to continue. SECURITY.md lists the
    /// data that remains.
    Erase {
        /// The tenant's id
        #[arg(value_parser = id)]
        tenant: Uuid,
        /// The user's id at the tenant
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        user: String,
        /// Erases the data; without this option, nothing is changed
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
