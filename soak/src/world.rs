//! A run: the tenant, its clients, the faults, and the final check.

use crate::backend::Backend;
use crate::checker::{check, check_found, check_images, check_participants, check_users};
use crate::client::{Api, Client, times};
use crate::database::connect;
use crate::follower::Follower;
use crate::history::{Event, Membership, Recorder, Stored};
use crate::leaver::{ERASED, Leaver};
use crate::listener::{self, Listener};
use crate::nemesis::Nemesis;
use crate::processes::Memory;
use crate::receiver::Receiver;
use crate::{retention, search};
use anyhow::{Context, ensure};
use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::env;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};

use uuid::Uuid;

const CLIENTS: usize = 16;
const CONVERSATIONS: usize = 8;
const FOLLOWERS: usize = 3;

/// The number of conversations that the tenant's backend manages.
const MANAGED: usize = 2;

/// The number of users who are being erased or going to be, at any time. Each sequence of them has a conversation.
const LEAVERS: usize = 2;

/// The number of webhook endpoints of the tenant.
const ENDPOINTS: usize = 3;

/// The time in which the outbox must be empty after the end. In a run shorter than this, it is the length of the run.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(100);

#[tokio::main(flavor = "current_thread")]
pub async fn run() -> anyhow::Result<()> {
    let minutes: f64 =
        env::var("MINUTES").map_or(Ok(20.0), |text| text.parse()).context("MINUTES must be a number")?;
    let length = Duration::try_from_secs_f64(minutes * 60.0).context("MINUTES must be at least 0")?;
    let _ = rustls::crypto::ring::default_provider().install_default();
    let http = reqwest::Client::builder().no_proxy().tls_certs_only([]).build()?;
    let recorder = Arc::new(Recorder::new());
    let mut world = World::new(http.clone(), recorder.clone())?;
    world.add_tenant().await?;
    let conversations = Arc::new(world.create_conversations().await?);
    retention::prepare(&world.api, &recorder, world.tenant, &conversations, length).await?;
    tokio::spawn(Listener::join(&conversations, recorder.clone()).await?.run());

    let until = Instant::now() + length;
    let clients = (0..CLIENTS).map(|number| {
        Client::new(world.api.clone(), recorder.clone(), conversations.clone(), client_name(number))
            .run(until)
    });
    let nemesis = Nemesis {
        http,
        supabase_url: env::var("SUPABASE_URL")?,
        recorder: recorder.clone(),
        receivers: world.receivers.values().cloned().collect(),
        conversations: conversations.clone(),
    };
    let follower = || Follower::new(world.api.clone(), recorder.clone(), &conversations);
    let mut followers: Vec<_> = std::iter::repeat_with(follower).take(FOLLOWERS).collect();
    let following = join_all(followers.iter_mut().map(|follower| follower.run(until)));
    let backends = join_all(world.backends(&conversations).into_iter().map(|backend| backend.run(until)));
    let leavers = join_all(world.leavers(&conversations).into_iter().map(|leaver| leaver.run(until)));
    let mut memory = Memory::default();
    let traffic =
        async { tokio::join!(join_all(clients), following, backends, leavers, nemesis.run(until)).4 };
    tokio::select! {
        nemesis = traffic => nemesis.context("the faults")?,
        () = memory.watch() => {} // it never ends
        () = retention::repeat() => {} // nor does this
    }
    world.drain(DRAIN_TIMEOUT.min(length)).await?;
    world.check(&conversations, followers, &memory).await
}

fn client_name(number: usize) -> String {
    format!("client {number}")
}

struct World {
    api: Arc<Api>,
    /// The API, called with the tenant's secret key.
    secret_api: Arc<Api>,
    recorder: Arc<Recorder>,
    /// The receivers, by the endpoint's id.
    receivers: HashMap<String, Arc<Receiver>>,
    tenant: Uuid,
}

impl World {
    fn new(http: reqwest::Client, recorder: Arc<Recorder>) -> anyhow::Result<Self> {
        let key = format!("pk_test_{}", Uuid::new_v4().simple());
        let url = env::var("API_URL")?;
        let secret_key = key.replace("pk_test_", "sk_test_");
        let secret_api = Arc::new(Api { http: http.clone(), url: url.clone(), key: secret_key });
        let api = Arc::new(Api { http, url, key });
        Ok(Self { api, secret_api, recorder, receivers: HashMap::new(), tenant: Uuid::new_v4() })
    }

    async fn add_tenant(&mut self) -> anyhow::Result<()> {
        let database = connect().await?;
        database
            .execute("insert into tinychat.tenants (id, name) values ($1, 'Soak')", &[&self.tenant])
            .await?;
        let key = "insert into tinychat.api_keys (hash, tenant_id, prefix, kind) values ($1, $2, 'soak', $3)";
        for (api, kind) in [(&self.api, "publishable"), (&self.secret_api, "secret")] {
            let hash = Sha256::digest(&api.key).to_vec();
            database.execute(key, &[&hash, &self.tenant, &kind]).await?;
        }
        let endpoint = "insert into tinychat.webhook_endpoints (id, tenant_id, url, events, secret) values
            (gen_random_uuid(), $1, $2, '{message.created,message.updated,message.deleted}',
            'whsec_' || encode(sha256('soak'), 'base64')) returning id::text";
        for _ in 0..ENDPOINTS {
            let (receiver, url) = Receiver::start().await?;
            let id = database.query_one(endpoint, &[&self.tenant, &url]).await?.get(0);
            self.receivers.insert(id, receiver);
        }
        Ok(())
    }

    /// Creates the conversations. All clients participate in all of them.
    async fn create_conversations(&self) -> anyhow::Result<Vec<String>> {
        let participants: Vec<_> = (0..CLIENTS).map(client_name).collect();
        let mut ids = Vec::new();
        for _ in 0..CONVERSATIONS {
            let body = json!({ "kind": "direct", "participants": participants });
            let response = self.api.call(Method::POST, "/v1/conversations", &body).await;
            let id = response.body.pointer("/conversation/id").and_then(Value::as_str);
            ids.push(
                id.with_context(|| format!("no conversation was created: {}", response.body))?.to_owned(),
            );
        }
        Ok(ids)
    }

    fn backends(&self, conversations: &[String]) -> Vec<Backend> {
        let backends = conversations.iter().take(MANAGED).map(|conversation| Backend {
            api: self.secret_api.clone(),
            recorder: self.recorder.clone(),
            conversation: conversation.clone(),
            participants: (0..CLIENTS).map(client_name).collect(),
        });
        backends.collect()
    }

    /// Returns the beginning of the ids of users who are erased. Older runs may have left others in the database.
    fn planted(&self) -> String {
        format!("planted-{}-", self.tenant.simple())
    }

    fn leavers(&self, conversations: &Arc<Vec<String>>) -> Vec<Leaver> {
        let homes = conversations.iter().skip(MANAGED).take(LEAVERS).enumerate();
        let leavers = homes.map(|(number, home)| Leaver {
            api: self.api.clone(),
            secret_api: self.secret_api.clone(),
            recorder: self.recorder.clone(),
            conversations: conversations.clone(),
            tenant: self.tenant,
            prefix: self.planted(),
            number,
            home: home.clone(),
            participants: (0..CLIENTS).map(client_name).collect(),
        });
        leavers.collect()
    }

    /// Waits until the outbox is empty or the time is over.
    async fn drain(&self, timeout: Duration) -> anyhow::Result<()> {
        let until = Instant::now() + timeout;
        while self.events().await?.iter().any(|event| event.queued) && Instant::now() < until {
            sleep(Duration::from_secs(1)).await;
        }
        Ok(())
    }

    async fn stored(&self) -> anyhow::Result<Vec<Stored>> {
        let query = "select m.id::text, m.conversation_id::text, m.sender_id, m.body, m.reply_to::text,
                tinychat.image_path(m.media_url), tinychat.iso(m.created_at), m.deleted_at is not null
            from tinychat.messages m join tinychat.conversations c on c.id = m.conversation_id
            where c.tenant_id = $1 order by m.created_at";
        let rows = connect().await?.query(query, &[&self.tenant]).await?;
        let stored = rows.iter().map(|row| Stored {
            id: row.get(0),
            conversation: row.get(1),
            sender: row.get(2),
            body: row.get(3),
            reply_to: row.get(4),
            image: row.get(5),
            created_at: row.get(6),
            deleted: row.get(7),
        });
        Ok(stored.collect())
    }

    async fn events(&self) -> anyhow::Result<Vec<Event>> {
        let query = "select event_id::text, type, payload::jsonb #>> '{data,message,id}',
                payload::jsonb #>> '{data,message,body}', outcome is null, endpoint_id::text
            from tinychat.webhook_deliveries d join tinychat.webhook_endpoints w on w.id = d.endpoint_id
            where w.tenant_id = $1 and type <> 'conversation.updated'";
        let rows = connect().await?.query(query, &[&self.tenant]).await?;
        let events = rows.iter().map(|row| {
            let (id, endpoint): (String, String) = (row.get(0), row.get(5));
            let received = self.receivers.get(&endpoint).is_some_and(|receiver| receiver.has_accepted(&id));
            Event {
                endpoint,
                id,
                kind: row.get(1),
                message: row.get(2),
                body: row.get(3),
                received,
                queued: row.get(4),
            }
        });
        Ok(events.collect())
    }

    /// Returns the participants of the open conversations. Records an anomaly if a conversation isn't in exactly the lists of its
    /// participants.
    async fn participants(&self) -> anyhow::Result<Vec<Membership>> {
        let query = "select c.id::text, c.participants, (
                select array_agg(p.user_id) from tinychat.participants p
                where p.conversation_id = c.id and p.kind = c.kind
            ) from tinychat.conversations c where c.tenant_id = $1 and c.status = 'open'";
        let mut all = Vec::new();
        for row in connect().await?.query(query, &[&self.tenant]).await? {
            let (conversation, participants, mut listed): (String, Vec<String>, Vec<String>) =
                (row.get(0), row.get(1), row.get(2));
            listed.sort_by_key(|user| participants.iter().position(|other| other == user));
            if listed != participants {
                self.recorder
                    .anomaly(format!("{conversation} has {participants:?}, but is listed for {listed:?}"));
            }
            all.push(Membership { conversation, participants });
        }
        Ok(all)
    }

    /// Returns the users' names, by user id. Erased users have none.
    async fn names(&self) -> anyhow::Result<HashMap<String, String>> {
        let query = "select user_id, coalesce(name, '') from tinychat.users where tenant_id = $1";
        let rows = connect().await?.query(query, &[&self.tenant]).await?;
        let mut names: HashMap<String, String> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
        names.retain(|user, name| !(user.starts_with(ERASED) && name.is_empty()));
        Ok(names)
    }

    /// Returns the paths of the tenant's files in Storage.
    fn images(&self) -> anyhow::Result<BTreeSet<String>> {
        let bucket = search::storage_folder()?.join("chat");
        let files = search::files(&bucket.join(self.tenant.to_string()))?;
        let paths = files.iter().filter_map(|file| file.strip_prefix(&bucket).ok()?.to_str());
        Ok(paths.map(str::to_owned).collect())
    }

    /// Reads all of a conversation's history, page by page. Returns the messages' times.
    async fn pages(&self, conversation: &str) -> Vec<String> {
        let mut all = Vec::new();
        loop {
            let before = all.first().map_or(String::new(), |first| format!("&before={first}"));
            let path = format!("/v1/conversations/{conversation}/messages?limit=200{before}");
            let page = times(&self.api.call(Method::GET, &path, &Value::Null).await.body);
            if page.is_empty() {
                return all;
            }
            all.splice(0..0, page);
        }
    }

    /// Compares the records with the database. Prints a report and fails if there are violations.
    async fn check(
        &self,
        conversations: &[String],
        followers: Vec<Follower>,
        memory: &Memory,
    ) -> anyhow::Result<()> {
        let uploads = std::mem::take(&mut self.recorder.history.lock().uploads);
        for url in &uploads {
            let status = self.api.http.get(url).send().await?.status();
            if !status.is_success() {
                self.recorder.anomaly(format!("upload lost: {url} responds with {status}"));
            }
        }
        // Before the files become old, and those are removed that no message names.
        let in_storage = search::storage(&self.planted())?;
        retention::finish().await?;
        let found: Vec<_> = search::database(&self.planted()).await?.into_iter().chain(in_storage).collect();
        let (stored, events) = (self.stored().await?, self.events().await?);
        for conversation in conversations {
            let visible =
                stored.iter().filter(|message| message.conversation == *conversation && !message.deleted);
            let visible: Vec<_> = visible.map(|message| message.created_at.clone()).collect();
            if self.pages(conversation).await != visible {
                self.recorder.anomaly(format!("the pages of {conversation} differ from the stored messages"));
            }
        }
        let old = self.recorder.old.get().cloned().unwrap_or_default();
        let expired = old.iter().filter(|old| old.expires.is_some()).map(|old| old.id.as_str());
        let expired: HashSet<_> = expired.collect();
        let mut followed = Vec::new();
        for follower in followers {
            followed.extend(follower.check(&stored, &expired).await);
        }
        self.recorder.history.lock().old.clone_from(&old);
        let (names, participants) = (self.names().await?, self.participants().await?);
        self.recorder.history.lock().lost = listener::lost()?;
        let mut wrong = check(&self.recorder.history.lock(), &stored, &events);
        wrong.extend(check_participants(&self.recorder.history.lock().memberships, &participants));
        wrong.extend(check_users(&self.recorder.history.lock(), &names));
        wrong.extend(check_found(&self.recorder.history.lock(), &found));
        wrong.extend(check_images(&stored, &self.images()?));
        wrong.extend(followed);
        wrong.extend(memory.grown());
        self.print(&stored, &events, uploads.len(), memory);
        for wrong in wrong.iter().take(50) {
            println!("VIOLATION: {wrong}");
        }
        ensure!(wrong.is_empty(), "{} violations", wrong.len());
        println!("No violations.");
        Ok(())
    }

    fn print(&self, stored: &[Stored], events: &[Event], uploads: usize, memory: &Memory) {
        let history = self.recorder.history.lock();
        let acknowledged = history.sends.iter().filter(|send| send.acknowledged.is_some()).count();
        let changes = history.changes.iter().filter(|change| change.acknowledged).count();
        let upserts = history.upserts.iter().filter(|upsert| upsert.acknowledged).count();
        let queued = events.iter().filter(|event| event.queued).count();
        let counts = self.receivers.values().map(|receiver| receiver.counts());
        let (accepted, again) = counts.fold((0, 0), |sum, count| (sum.0 + count.0, sum.1 + count.1));
        let heard_again: u64 = history.broadcasts.values().map(|times| times - 1).sum();
        println!("\n| operation | status 200 | failed |\n|---|---|---|");
        for (operation, [succeeded, failed]) in self.recorder.counts.lock().iter() {
            println!("| {operation} | {succeeded} | {failed} |");
        }
        println!(
            "\nClosures: {}; requests refused by them: {}.",
            history.closures.len(),
            history.refusals.len()
        );
        let erased = stored.iter().filter(|message| message.sender.starts_with(ERASED)).count();
        let planted: HashSet<_> = history.planted.iter().map(|planted| &planted.text).collect();
        let expired = history.old.iter().filter(|old| old.expires.is_some()).count();
        println!(
            "\nUsers erased: {}, with {erased} messages; texts planted: {}. Messages expired: {expired}; old ones kept: {}. \
             Images kept: {}.",
            history.erasures.len(),
            planted.len(),
            history.old.len() - expired,
            stored.iter().filter(|message| message.image.is_some()).count(),
        );
        println!("\n| fault | times |\n|---|---|");
        for (fault, times) in self.recorder.faults.lock().iter() {
            println!("| {fault} | {times} |");
        }
        println!(
            "\n| memory of the largest process | second quarter, MiB | last quarter, MiB |\n|---|---|---|"
        );
        for (name, early, late) in memory.medians() {
            println!("| {name} | {} | {} |", early / 1024, late / 1024);
        }
        println!(
            "\nMessages acknowledged: {acknowledged} of {}; stored: {}. Edits and deletions acknowledged: {changes}. \
             Upserts acknowledged: {upserts}. Uploads: {uploads}. Events written: {}; accepted by the receivers: \
             {accepted}, and {again} again; still queued: {queued}. Broadcasts received: {}, and {heard_again} again; \
             logged as lost: {}. Time: {} s.",
            history.sends.len(),
            stored.len(),
            events.len(),
            history.broadcasts.len(),
            history.lost.len(),
            self.recorder.began.elapsed().as_secs(),
        );
    }
}
