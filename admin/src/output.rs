//! What a command prints: a table for people, JSON for programs.

use serde::Serialize;
use std::io::{self, Write};
use std::process::ExitCode;
use tabled::builder::Builder;
use tabled::settings::Style;
use tabled::{Table, Tabled};

/// Why a command can't be carried out although everything works.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// What the command names isn't there.
    #[error("no such {0}")]
    NoSuch(&'static str),
    /// The doctor has found something, and said so.
    #[error("not all is well")]
    Unwell,
}

impl Failure {
    /// The program's exit code.
    pub fn code(&self) -> ExitCode {
        match self {
            Self::NoSuch(_) => ExitCode::from(3),
            Self::Unwell => ExitCode::FAILURE,
        }
    }
}

/// Where results go: standard output.
pub struct Output {
    /// JSON is wanted.
    pub json: bool,
}

impl Output {
    /// Prints a list: a table with a row for each.
    pub fn list<T: Serialize + Tabled>(&self, items: &[T]) -> anyhow::Result<()> {
        self.print(&items, || Table::new(items).with(Style::psql()).to_string())
    }

    /// Prints one thing: a table with a row for each of its fields.
    pub fn item<T: Serialize + Tabled>(&self, item: &T) -> anyhow::Result<()> {
        self.print(item, || {
            let mut fields = Builder::default();
            for (name, value) in T::headers().into_iter().zip(item.fields()) {
                fields.push_record([name, value]);
            }
            fields.build().with(Style::psql().remove_horizontals()).to_string()
        })
    }

    /// Says in words what was done; programs get `result`.
    pub fn done(&self, words: &str, result: &impl Serialize) -> anyhow::Result<()> {
        self.print(result, || words.to_owned())
    }

    fn print(&self, value: &impl Serialize, text: impl FnOnce() -> String) -> anyhow::Result<()> {
        let text = if self.json { serde_json::to_string_pretty(value)? } else { text() };
        match writeln!(io::stdout(), "{text}") {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()), // `tinychat … | head`
            written => Ok(written?),
        }
    }
}
