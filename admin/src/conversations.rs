//! `tinychat conversations`: the export of a conversation.

use crate::database::{Database, id};
use crate::rights::export;
use clap::Subcommand;
use uuid::Uuid;

#[derive(Subcommand)]
pub enum Command {
    /// Prints a conversation and all its messages, including deleted ones, as JSON lines
    Export {
        /// The tenant's id
        #[arg(value_parser = id)]
        tenant: Uuid,
        /// The conversation's id
        #[arg(value_parser = id)]
        conversation: Uuid,
    },
}

pub async fn run(command: Command, database: &Database) -> anyhow::Result<()> {
    let Command::Export { tenant, conversation } = command;
    export::conversation(database, tenant, conversation).await
}
