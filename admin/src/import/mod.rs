//! `tinychat import`: stores users, conversations and messages from a file of JSON lines in the format of the exports.
//! docs/IMPORT.md describes the format.

mod line;
mod load;
mod section;

use crate::database::{Database, id};
use crate::output::{Failure, Output};
use crate::rights::walk::Progress;
use anyhow::{Context, bail};
use clap::Args;
use line::Line;
use load::{Batch, Loaded};
use section::Section;
use std::collections::HashSet;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::time::SystemTime;
use uuid::Uuid;

/// The maximum number of faults that are printed.
const FAULTS: usize = 20;

#[derive(Args)]
pub struct Import {
    /// The tenant's id
    #[arg(value_parser = id)]
    tenant: Uuid,
    /// The file
    file: PathBuf,
    /// Gives the conversations new ids, the same ones on each run, to copy a tenant within a database
    #[arg(long)]
    new_ids: bool,
    /// Checks the file and imports nothing
    #[arg(long)]
    dry_run: bool,
}

/// A fault in a line of the file, with the line's number.
#[derive(Debug)]
struct Fault {
    line: u64,
    text: String,
}

pub async fn run(import: Import, output: &Output) -> anyhow::Result<()> {
    let mut progress = Progress::new();
    let mut counted = Loaded::default();
    let mut reader = Reader::open(&import)?;
    while let Some(section) = reader.next()? {
        counted.count(&section);
        progress.show(|| format!("{} messages checked", counted.messages));
    }
    refuse(&reader.faults)?;
    if import.dry_run {
        drop(progress);
        return output.item(&counted);
    }

    let mut database = Database::connect().await?;
    database.require_tenant(&import.tenant).await?;
    let mut loaded = Loaded::default();
    let mut batch = Batch::default();
    let mut reader = Reader::open(&import)?;
    loop {
        let section = reader.next()?;
        let ended = section.is_none();
        batch.extend(section);
        if batch.is_full() || ended {
            let faults = batch.load(&mut database, import.tenant, &mut loaded).await?;
            refuse(&faults)?;
            batch = Batch::default();
            progress.show(|| format!("{} of {} messages", loaded.messages + loaded.known, counted.messages));
        }
        if ended {
            drop(progress);
            return output.item(&loaded);
        }
    }
}

/// Fails if there are faults, and prints the first ones.
fn refuse(faults: &[Fault]) -> anyhow::Result<()> {
    if faults.is_empty() {
        return Ok(());
    }
    let mut lines: Vec<_> =
        faults.iter().take(FAULTS).map(|fault| format!("line {}: {}", fault.line, fault.text)).collect();
    if faults.len() > FAULTS {
        lines.push("and more".to_owned());
    }
    bail!("{}", lines.join("; "))
}

/// Reads the file section by section: a user, or a conversation with its messages.
struct Reader {
    lines: BufReader<File>,
    number: u64,
    /// The line after the section that was read last.
    ahead: Option<(u64, Line)>,
    new_ids: Option<Uuid>,
    now: i64,
    users: HashSet<String>,
    conversations: HashSet<Uuid>,
    /// The faults found so far. Sections with faults are left out.
    faults: Vec<Fault>,
}

impl Reader {
    fn open(import: &Import) -> anyhow::Result<Self> {
        let path: &Path = &import.file;
        let file =
            File::open(path).map_err(|error| Failure::WrongUsage(format!("{}: {error}", path.display())))?;
        let now = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        Ok(Self {
            lines: BufReader::with_capacity(1 << 20, file),
            number: 0,
            ahead: None,
            new_ids: import.new_ids.then_some(import.tenant),
            now: i64::try_from(now.as_millis())?,
            users: HashSet::new(),
            conversations: HashSet::new(),
            faults: Vec::new(),
        })
    }

    fn next(&mut self) -> anyhow::Result<Option<Section>> {
        while let Some((number, line)) = self.take()? {
            let section = match line {
                Line::User(user) if !self.users.insert(user.user_id.to_string()) => {
                    Err(vec![Fault { line: number, text: "user_id is also that of another line".to_owned() }])
                }
                Line::User(user) => Ok(Section::User(user)),
                Line::Message(_) => {
                    let text = "a message must follow its conversation's line or another message of the conversation";
                    Err(vec![Fault { line: number, text: text.to_owned() }])
                }
                Line::Conversation(conversation) => {
                    let mut messages = Vec::new();
                    while let Some((number, line)) = self.take()? {
                        if let Line::Message(message) = line {
                            messages.push((number, message));
                        } else {
                            self.ahead = Some((number, line));
                            break;
                        }
                    }
                    if self.conversations.insert(conversation.id) {
                        section::assemble(conversation, messages, self.now, self.new_ids)
                    } else {
                        Err(vec![Fault {
                            line: number,
                            text: "id is also that of another conversation".to_owned(),
                        }])
                    }
                }
            };
            match section {
                Ok(section) => return Ok(Some(section)),
                Err(faults) => self.faults.extend(faults),
            }
            if self.faults.len() > FAULTS {
                return Ok(None);
            }
        }
        Ok(None)
    }

    /// Returns the next line that can be parsed.
    fn take(&mut self) -> anyhow::Result<Option<(u64, Line)>> {
        if let Some(ahead) = self.ahead.take() {
            return Ok(Some(ahead));
        }
        let mut text = Vec::new();
        loop {
            text.clear();
            if self.lines.read_until(b'\n', &mut text).context("the file")? == 0 || self.faults.len() > FAULTS
            {
                return Ok(None);
            }
            self.number += 1;
            if text.trim_ascii().is_empty() {
                continue;
            }
            match Line::parse(&text, self.number) {
                Ok(line) => return Ok(Some((self.number, line))),
                Err(error) => self.faults.push(Fault { line: self.number, text: error.to_string() }),
            }
        }
    }
}
