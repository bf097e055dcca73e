//! A batch of the file, stored in one transaction: a conversation is stored with all its messages, or not at all.
//!
//! Rows go to Postgres as one JSON parameter. COPY would need a prepared statement, which a pooler in transaction mode
//! doesn't keep.

use super::Fault;
use super::line::{Conversation, User};
use super::section::{Row, Section};
use crate::database::Database;
use serde::Serialize;
use shared::db::Param;
use tabled::Tabled;
use tokio_postgres::Transaction;
use tokio_postgres::types::{Json, Type};
use uuid::Uuid;

/// The number of messages in a statement, and the number of rows that fills a batch. A conversation counts as ten rows.
const AT_ONCE: usize = 5_000;
const FULL: usize = 10_000;

/// The numbers of rows that were stored.
#[derive(Default, Serialize, Tabled)]
pub struct Loaded {
    pub users: u64,
    pub conversations: u64,
    pub messages: u64,
    /// Messages that already existed.
    pub known: u64,
}

impl Loaded {
    /// Counts the section's rows.
    pub fn count(&mut self, section: &Section) {
        match section {
            Section::User(_) => self.users += 1,
            Section::Conversation(_, messages) => {
                self.conversations += 1;
                self.messages += messages.len() as u64;
            }
        }
    }
}

#[derive(Default)]
pub struct Batch {
    users: Vec<User>,
    conversations: Vec<Conversation>,
    messages: Vec<Row>,
}

impl Batch {
    pub fn extend(&mut self, section: Option<Section>) {
        match section {
            Some(Section::User(user)) => self.users.push(user),
            Some(Section::Conversation(conversation, messages)) => {
                self.conversations.push(conversation);
                self.messages.extend(messages);
            }
            None => {}
        }
    }

    pub fn is_full(&self) -> bool {
        self.users.len() + self.conversations.len() * 10 + self.messages.len() >= FULL
    }

    /// Stores the whole batch, or nothing if there are faults.
    pub async fn load(
        &self,
        database: &mut Database,
        tenant: Uuid,
        loaded: &mut Loaded,
    ) -> anyhow::Result<Vec<Fault>> {
        let transaction = database.client.transaction().await?;
        let users = run(&transaction, include_str!("users.sql"), tenant, &self.users).await?;
        let check = include_str!("check-conversations.sql");
        let faults = faults(&transaction, check, tenant, &self.conversations).await?;
        if !faults.is_empty() {
            return Ok(faults);
        }
        let conversations =
            run(&transaction, include_str!("conversations.sql"), tenant, &self.conversations).await?;
        let mut messages = 0;
        for some in self.messages.chunks(AT_ONCE) {
            let check = include_str!("check-messages.sql");
            let faults = self::faults(&transaction, check, tenant, some).await?;
            if !faults.is_empty() {
                return Ok(faults);
            }
            messages += run(&transaction, include_str!("messages.sql"), tenant, some).await?;
        }
        run(&transaction, include_str!("clocks.sql"), tenant, &self.conversations).await?;
        transaction.commit().await?;
        loaded.users += users;
        loaded.conversations += conversations;
        loaded.messages += messages;
        loaded.known += self.messages.len() as u64 - messages;
        Ok(Vec::new())
    }
}

/// Runs a statement on rows, and returns the number that it has stored.
async fn run(
    transaction: &Transaction<'_>,
    sql: &str,
    tenant: Uuid,
    rows: &[impl Serialize + std::fmt::Debug + Sync],
) -> anyhow::Result<u64> {
    let json = Json(rows);
    let params: [Param; 2] = [(&tenant, Type::UUID), (&json, Type::JSON)];
    Ok(transaction.execute_typed(sql, &params).await?)
}

/// Runs a statement that returns the faults of rows.
async fn faults(
    transaction: &Transaction<'_>,
    sql: &str,
    tenant: Uuid,
    rows: &[impl Serialize + std::fmt::Debug + Sync],
) -> anyhow::Result<Vec<Fault>> {
    let json = Json(rows);
    let params: [Param; 2] = [(&tenant, Type::UUID), (&json, Type::JSON)];
    let rows = transaction.query_typed(sql, &params).await?;
    let fault = |row: &tokio_postgres::Row| -> Result<Fault, tokio_postgres::Error> {
        let line: i64 = row.try_get("line")?;
        Ok(Fault { line: line.unsigned_abs(), text: row.try_get("fault")? })
    };
    Ok(rows.iter().map(fault).collect::<Result<_, _>>()?)
}
