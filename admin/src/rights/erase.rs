//! The erasure of a user. It runs in batches beside normal traffic, each in one short transaction, and can be interrupted
//! at any point.

use super::walk::{Progress, Walk};
use crate::database::Database;
use crate::output::{Failure, Output};
use anyhow::{anyhow, bail};
use serde::Serialize;
use shared::db::Param;
use shared::model::Timestamp;
use shared::storage::Storage;
use std::time::{Duration, Instant};
use tabled::Tabled;
use tokio_postgres::types::Type;
use uuid::Uuid;

/// The number of messages that are erased at once. Sends into their conversation wait meanwhile, and its clock moves
/// ahead by as many milliseconds.
const BATCH: i64 = 200;

/// The number of webhook events that one statement checks.
const EVENTS: i64 = 500;

/// The time for which passes are repeated after the first one, while the user keeps sending.
const CATCH_UP: Duration = Duration::from_mins(1);

/// The numbers of found or erased rows.
#[derive(Default, Serialize, Tabled)]
struct Erased {
    user: String,
    /// The id that replaces the user's. `None` if nothing was changed.
    #[tabled(display("tabled::derive::display::option", "-"))]
    opaque_id: Option<String>,
    profiles: i64,
    conversations: usize,
    messages: i64,
    images: i64,
    /// Webhook events that were changed.
    #[tabled(rename = "events", display("tabled::derive::display::option", "-"))]
    events: Option<i64>,
    state: &'static str,
}

/// Counts what an erasure would change.
pub async fn preview(database: &Database, tenant: Uuid, user: &str, output: &Output) -> anyhow::Result<()> {
    database.require_tenant(&tenant).await?;
    let params: [Param; 2] = [(&tenant, Type::UUID), (&user, Type::TEXT)];
    let row = database.row(include_str!("erase-found.sql"), &params).await?;
    let (profiles, begun): (i64, bool) = (row.try_get("profiles")?, row.try_get("begun")?);
    let state = if begun { "interrupted: --yes continues" } else { "not erased: --yes erases" };
    let mut found = Erased { user: user.to_owned(), profiles, state, ..Erased::default() };
    let mut progress = Progress::new();
    let mut walk = Walk::new(tenant, Some(user));
    while let Some(conversations) = walk.next(database).await? {
        let params: [Param; 3] =
            [(&tenant, Type::UUID), (&conversations, Type::UUID_ARRAY), (&user, Type::TEXT)];
        let row = database.row(include_str!("erase-count.sql"), &params).await?;
        found.conversations += conversations.len();
        found.messages += row.try_get::<_, i64>("messages")?;
        found.images += row.try_get::<_, i64>("images")?;
        progress.show(|| format!("{} % of the conversations", walk.percent()));
    }
    drop(progress);
    if found.profiles == 0 && found.conversations == 0 && !begun {
        return Err(Failure::NoSuch("user").into());
    }
    output.item(&found)
}

/// Erases the user.
pub async fn erase(database: &mut Database, tenant: Uuid, user: &str, output: &Output) -> anyhow::Result<()> {
    database.require_tenant(&tenant).await?;
    let storage = Storage::from_env().map_err(|error| anyhow!(error))?;
    let (opaque, new) = begin(database, tenant, user).await?;
    let mut erasure = Erasure {
        database,
        storage,
        tenant,
        user,
        opaque: &opaque,
        progress: Progress::new(),
        erased: Erased {
            user: user.to_owned(),
            opaque_id: Some(opaque.clone()),
            state: "erased",
            ..Erased::default()
        },
    };
    let found = erasure.work().await?;
    let Erasure { erased, progress, .. } = erasure;
    drop(progress);
    let end = "delete from tinychat.erasures where tenant_id = $1 and user_id = $2";
    database.rows(end, &[(&tenant, Type::UUID), (&user, Type::TEXT)]).await?;
    if found || !new { output.item(&erased) } else { Err(Failure::NoSuch("user").into()) }
}

/// Returns the opaque id and whether it is new. An interrupted erasure already has one.
async fn begin(database: &Database, tenant: Uuid, user: &str) -> anyhow::Result<(String, bool)> {
    let new = format!("erased-{}", Uuid::new_v4().simple());
    let params: [Param; 3] = [(&tenant, Type::UUID), (&user, Type::TEXT), (&new, Type::TEXT)];
    let row = database.row(include_str!("erase-begin.sql"), &params).await?;
    Ok((row.try_get("opaque_id")?, row.try_get("new")?))
}

/// An erasure in progress.
struct Erasure<'a> {
    database: &'a mut Database,
    storage: Storage,
    tenant: Uuid,
    user: &'a str,
    opaque: &'a str,
    progress: Progress,
    erased: Erased,
}

impl Erasure<'_> {
    /// Erases until a pass over all conversations finds nothing. Returns whether anything was found.
    async fn work(&mut self) -> anyhow::Result<bool> {
        let (mut since, mut deadline) = (None, None);
        while deadline.is_none_or(|deadline| Instant::now() < deadline) {
            let start = self.ten_seconds_ago().await?;
            let before = self.erased.conversations;
            self.profile().await?;
            self.conversations(since).await?;
            if since.is_some() && self.erased.conversations == before {
                return Ok(self.erased.conversations > 0 || self.erased.profiles > 0);
            }
            self.events().await?;
            since = Some(start);
            deadline.get_or_insert_with(|| Instant::now() + CATCH_UP);
        }
        bail!("{} is still sending messages: stop that, and run the command again", self.user)
    }

    /// Returns the time ten seconds ago. Open transactions may still store rows with times since then.
    async fn ten_seconds_ago(&self) -> anyhow::Result<Timestamp> {
        Ok(self.database.row("select tinychat.now_ms() - interval '10 s'", &[]).await?.try_get(0)?)
    }

    async fn profile(&mut self) -> anyhow::Result<()> {
        let count = "select count(*) from tinychat.users where tenant_id = $1 and user_id = $2";
        let mut params: Vec<Param> = vec![(&self.tenant, Type::UUID), (&self.user, Type::TEXT)];
        self.erased.profiles += self.database.row(count, &params).await?.try_get::<_, i64>(0)?;
        params.push((&self.opaque, Type::TEXT));
        self.database.rows(include_str!("erase-profile.sql"), &params).await?;
        Ok(())
    }

    async fn conversations(&mut self, since: Option<Timestamp>) -> anyhow::Result<()> {
        let walk = Walk::new(self.tenant, Some(self.user));
        let mut walk = if let Some(since) = since { walk.since(since) } else { walk };
        while let Some(found) = walk.next(self.database).await? {
            for conversation in found {
                self.conversation(conversation).await?;
                self.erased.conversations += 1;
                let messages = self.erased.messages;
                self.progress
                    .show(|| format!("{messages} messages, {} % of the conversations", walk.percent()));
            }
            self.progress.show(|| format!("{} % of the conversations", walk.percent()));
        }
        Ok(())
    }

    /// Erases the user's messages in a conversation. Their images are deleted first, because only the messages name
    /// them.
    async fn conversation(&mut self, conversation: Uuid) -> anyhow::Result<()> {
        loop {
            let params: [Param; 4] = [
                (&self.tenant, Type::UUID),
                (&conversation, Type::UUID),
                (&self.user, Type::TEXT),
                (&BATCH, Type::INT8),
            ];
            let own = self.database.rows(include_str!("erase-own.sql"), &params).await?;
            let (mut messages, mut images) = (Vec::<Uuid>::new(), Vec::<String>::new());
            for row in &own {
                messages.push(row.try_get("id")?);
                images.extend(row.try_get::<_, Option<String>>("image")?);
            }
            images.sort();
            images.dedup();
            self.storage.delete(&images).await?;
            let last = own.len() < usize::try_from(BATCH)?;
            self.batch(conversation, &messages, last).await?;
            self.erased.messages += i64::try_from(messages.len())?;
            self.erased.images += i64::try_from(images.len())?;
            if last {
                return Ok(());
            }
        }
    }

    /// Erases a batch of messages. It locks the conversation first, as every change does.
    async fn batch(&mut self, conversation: Uuid, messages: &[Uuid], last: bool) -> anyhow::Result<()> {
        let transaction = self.database.client.transaction().await?;
        let lock = "select from tinychat.conversations where id = $1 for no key update";
        transaction.query_typed(lock, &[(&conversation, Type::UUID)]).await?;
        let params: [Param; 5] = [
            (&conversation, Type::UUID),
            (&self.user, Type::TEXT),
            (&self.opaque, Type::TEXT),
            (&messages, Type::UUID_ARRAY),
            (&last, Type::BOOL),
        ];
        transaction.query_typed(include_str!("erase-conversation.sql"), &params).await?;
        Ok(transaction.commit().await?)
    }

    /// Removes the user from the webhook events that are still stored.
    async fn events(&mut self) -> anyhow::Result<()> {
        let endpoints = "select id from tinychat.webhook_endpoints where tenant_id = $1 order by id";
        for row in self.database.rows(endpoints, &[(&self.tenant, Type::UUID)]).await? {
            let endpoint: Uuid = row.try_get("id")?;
            let mut position = Uuid::nil();
            loop {
                let params: [Param; 5] = [
                    (&endpoint, Type::UUID),
                    (&position, Type::UUID),
                    (&EVENTS, Type::INT8),
                    (&self.user, Type::TEXT),
                    (&self.opaque, Type::TEXT),
                ];
                let row = self.database.row(include_str!("erase-events.sql"), &params).await?;
                let Some(last) = row.try_get("last")? else { break };
                position = last;
                let changed = self.erased.events.get_or_insert_default();
                *changed += row.try_get::<_, i64>("changed")?;
                self.progress.show(|| format!("{changed} webhook events"));
            }
        }
        Ok(())
    }
}
