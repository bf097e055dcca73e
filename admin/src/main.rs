//! `tinychat`: the operator's command line. Each group of commands has a module of its own.

mod conversations;
mod database;
mod doctor;
mod import;
mod keys;
mod output;
mod rights;
mod role;
mod seed;
mod tenants;
mod tokens;
mod usage;
mod users;
mod webhooks;

use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::Shell;
use database::Database;
use output::{Failure, Output, harmless};
use shared::db::Chain;
use std::process::ExitCode;

/// Operates TinyChat: the database's schema, tenants, API keys, webhooks and more
#[derive(Parser)]
#[command(
    name = "tinychat",
    version,
    max_term_width = 100,
    after_help = "DATABASE_URL is the database, and DATABASE_CA_CERT its certificate authority, as for the functions.\n\
        Exit codes: 0 success, 1 failure, 2 wrong usage, 3 not found."
)]
struct Cli {
    /// Prints JSON instead of tables
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Brings the database's schema and route functions up to date
    Migrate,
    /// Creates, lists, suspends and activates tenants, exports their data and limits how long it is kept
    #[command(subcommand)]
    Tenants(tenants::Command),
    /// Issues, rotates and revokes API keys
    #[command(subcommand)]
    Keys(keys::Command),
    /// Creates and revokes the keys that sign user tokens, and requires tokens
    #[command(subcommand)]
    Tokens(tokens::Command),
    /// Exports and erases the data of a user
    #[command(subcommand)]
    Users(users::Command),
    /// Exports a conversation
    #[command(subcommand)]
    Conversations(conversations::Command),
    /// Imports users, conversations and messages from a file of JSON lines, in the format of the exports
    Import(import::Import),
    /// Shows the usage of tenants in a month or on a day
    Usage(usage::Usage),
    /// Registers webhook endpoints, and shows and replays their deliveries
    #[command(subcommand)]
    Webhooks(webhooks::Command),
    /// Creates a tenant with users, conversations and messages, and shows its key
    Seed(seed::Seed),
    /// Creates and drops database roles that functions log in as, to change a password without an outage
    #[command(subcommand)]
    Role(role::Command),
    /// Checks the settings and the services behind them, or a deployment, and reports faults
    Doctor(doctor::Doctor),
    /// Prints the completion script of a shell
    Completions {
        /// The shell
        shell: Shell,
    },
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let Cli { json, command } = Cli::parse();
    match run(command, &Output::new(json)).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", harmless(&Chain(&*error).to_string()));
            error.downcast_ref::<Failure>().map_or(ExitCode::FAILURE, Failure::code)
        }
    }
}

async fn run(command: Command, output: &Output) -> anyhow::Result<()> {
    match command {
        Command::Migrate => migrate(output).await,
        Command::Tenants(command) => tenants::run(command, &Database::connect().await?, output).await,
        Command::Keys(command) => keys::run(command, &Database::connect().await?, output).await,
        Command::Tokens(command) => tokens::run(command, &Database::connect().await?, output).await,
        Command::Users(command) => users::run(command, &mut Database::connect().await?, output).await,
        Command::Conversations(command) => conversations::run(command, &Database::connect().await?).await,
        Command::Import(import) => import::run(import, output).await,
        Command::Usage(usage) => usage::run(usage, &Database::connect().await?, output).await,
        Command::Webhooks(webhooks::Command::Listen(listen)) => webhooks::listen::run(listen, output).await,
        Command::Webhooks(command) => webhooks::run(command, &Database::connect().await?, output).await,
        Command::Seed(seed) => seed::run(seed, output).await,
        Command::Role(command) => role::run(command, &mut Database::connect().await?, output).await,
        Command::Doctor(doctor) => doctor::run(doctor, output).await,
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "tinychat", &mut std::io::stdout());
            Ok(())
        }
    }
}

async fn migrate(output: &Output) -> anyhow::Result<()> {
    let mut database = Database::connect().await?;
    let done = admin::migrate(&mut database.client).await?;
    match done.as_slice() {
        [] => output.done("up to date", &done),
        _ => output.done(&done.join("\n"), &done),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    /// Returns the calls of this program in a page's shell code, each as words, with an id for each variable.
    fn calls(page: &str) -> Vec<Vec<String>> {
        let blocks = page.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next());
        let lines = blocks.flat_map(str::lines).filter(|line| line.starts_with("tinychat "));
        let words = |line: &str| -> Vec<String> {
            let line = line
                .split(" #")
                .next()
                .unwrap()
                .split(" >")
                .next()
                .unwrap()
                .replace("$KEY", "pk_live_01234567");
            let line = ["$TENANT", "$ENDPOINT", "$KID", "$CONVERSATION"]
                .iter()
                .fold(line, |line, name| line.replace(name, "11111111-2222-4333-8444-555555555555"));
            // Quotes are around whole words.
            let parts = line.split('"').enumerate();
            parts
                .flat_map(|(n, part)| if n % 2 == 1 { vec![part] } else { part.split_whitespace().collect() })
                .map(str::to_owned)
                .collect()
        };
        lines.map(words).collect()
    }

    #[test]
    fn the_pages_call_existing_commands_and_the_tour_calls_all_of_them() {
        let pages = [
            include_str!("../../README.md"),
            include_str!("../../docs/OPERATIONS.md"),
            include_str!("../../docs/WEBHOOKS.md"),
        ];
        let tour = calls(include_str!("../../docs/COMMANDS.md"));
        for call in pages.into_iter().flat_map(calls).chain(tour.clone()) {
            if let Err(error) = Cli::try_parse_from(&call) {
                panic!("{}: {error}", call.join(" "));
            }
        }
        for command in Cli::command().get_subcommands() {
            let name = command.get_name();
            let called = tour.iter().any(|call| call[1] == name);
            assert!(called || ["completions", "help"].contains(&name), "{name} isn't in docs/COMMANDS.md");
        }
    }
}
