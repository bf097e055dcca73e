//! Two releases with different SQL of a route, at the same time on one database.

use reqwest::Url;
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use support::lambda::{binary, event_of};
use support::{Chat, Database, Function, Request, setting};
use tokio::process::Command;
use tokio::task::JoinHandle;

const FUNCTION: &str = "get-config";

/// The change to get-config.sql in the next release. Both texts have the same length, so that the test can replace one by the
/// other in the binaries.
const OLD_SQL: &str = "name := access.tenant_name;";
const NEW_SQL: &str = "name := 'next';            ";

/// A release: its `tinychat`, and its binary of the route.
struct Release {
    tinychat: PathBuf,
    route: PathBuf,
}

impl Release {
    fn built() -> Self {
        Self { tinychat: binary("tinychat"), route: binary(FUNCTION) }
    }

    /// Makes the next release, by changing the SQL in copies of the binaries.
    fn next() -> Self {
        let folder = PathBuf::from(setting("DATA_DIR")).join("next-release");
        std::fs::create_dir_all(&folder).unwrap();
        let changed = |name| {
            let path = folder.join(name);
            std::fs::write(&path, replace(std::fs::read(binary(name)).unwrap())).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
            path
        };
        Self { tinychat: changed("tinychat"), route: changed(FUNCTION) }
    }

    /// Runs its `tinychat migrate`. Returns what that did.
    async fn migrate(&self, database: &Database) -> Vec<String> {
        let output = Command::new(&self.tinychat)
            .args(["--json", "migrate"])
            .env("DATABASE_URL", &database.url)
            .output()
            .await
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

/// Replaces the old SQL by the new one in a binary.
fn replace(mut program: Vec<u8>) -> Vec<u8> {
    let places: Vec<_> = (0..program.len() - OLD_SQL.len())
        .filter(|start| program[*start..].starts_with(OLD_SQL.as_bytes()))
        .collect();
    assert!(!places.is_empty(), "the binary doesn't contain the SQL");
    for start in places {
        program[start..start + OLD_SQL.len()].copy_from_slice(NEW_SQL.as_bytes());
    }
    program
}

/// Returns the database's URL for functions.
fn url_for_functions(database: &Database) -> String {
    let mut url = Url::parse(&setting("FUNCTION_DATABASE_URL")).unwrap();
    url.set_path(Url::parse(&database.url).unwrap().path());
    url.into()
}

/// A process that gets requests until it is stopped. Each response must be a 200 with the expected name.
struct Stream {
    stop: Arc<AtomicBool>,
    task: JoinHandle<Function>,
}

impl Stream {
    async fn start(program: &Path, url: &str, event: &Value, name: &'static str) -> Self {
        let mut process = Function::start_program(program, FUNCTION, &[("DATABASE_URL", url)]).await;
        // The use is recorded between the first request and the second.
        for _ in 0..2 {
            assert_eq!(tenant_name(&mut process, event).await, (200, json!(name)));
        }
        let stop = Arc::<AtomicBool>::default();
        let (stopped, event) = (stop.clone(), event.clone());
        let task = tokio::spawn(async move {
            let mut requests = 0;
            // It makes at least ten requests, even if it is stopped at once.
            while requests < 10 || !stopped.load(Ordering::Relaxed) {
                assert_eq!(tenant_name(&mut process, &event).await, (200, json!(name)));
                requests += 1;
            }
            process
        });
        Self { stop, task }
    }

    async fn stop(self) -> Function {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await.unwrap()
    }
}

async fn tenant_name(process: &mut Function, event: &Value) -> (u64, Value) {
    let (status, mut response) = process.call(event.clone()).await;
    (status, response["tenant"]["name"].take())
}

#[tokio::test]
async fn a_route_changes_its_sql_under_a_stream_of_requests() {
    let chat = Chat::new().await;
    let database = Database::with(&chat, "").await;
    let add_tenant = "with tenant as (insert into tinychat.tenants (name) values ('Acme') returning id)
        insert into tinychat.api_keys (hash, tenant_id, prefix) select sha256($1::text::bytea), id, '' from tenant";
    database.client.execute(add_tenant, &[&chat.key]).await.unwrap();
    let (url, event) = (url_for_functions(&database), event_of(FUNCTION, &chat, &Request::get("/v1/config")));
    let (old, new) = (Release::built(), Release::next());
    // Functions that haven't been used for a week count as unused.
    let a_week_passes = "update tinychat.route_functions
        set migrated_at = migrated_at - interval '8 days', started_at = started_at - interval '8 days'
        where route = 'get_config'";

    let old_stream = Stream::start(&old.route, &url, &event, "Acme").await;
    let done = new.migrate(&database).await;
    assert!(done.len() == 1 && done[0].starts_with("created tinychat_api.get_config_"), "{done:?}");
    database.client.execute(a_week_passes, &[]).await.unwrap();
    assert_eq!(
        new.migrate(&database).await,
        [""; 0],
        "the new functions are kept, although they weren't deployed"
    );
    let new_stream = Stream::start(&new.route, &url, &event, "next").await;
    let second_old_stream = Stream::start(&old.route, &url, &event, "Acme").await; // records that the function is in use
    database
        .client
        .execute("update tinychat.route_functions set migrated_at = '2026-01-01'", &[])
        .await
        .unwrap();
    assert_eq!(new.migrate(&database).await, [""; 0], "both functions are in use");
    for stream in [old_stream, second_old_stream, new_stream] {
        stream.stop().await;
    }

    database.client.execute(a_week_passes, &[]).await.unwrap();
    let new_stream = Stream::start(&new.route, &url, &event, "next").await;
    let done = new.migrate(&database).await;
    assert!(done.len() == 1 && done[0].starts_with("removed tinychat_api.get_config_"), "{done:?}");
    new_stream.stop().await;

    // A return to the old release needs its migration first.
    let name = done[0].trim_start_matches("removed ");
    let start = Command::new(&old.route)
        .env_clear()
        .envs([
            ("DATABASE_URL", url.as_str()),
            ("SUPABASE_URL", "http://127.0.0.1"),
            ("SUPABASE_ANON_KEY", "k"),
        ])
        .output()
        .await
        .unwrap();
    let error = String::from_utf8_lossy(&start.stderr);
    assert!(!start.status.success() && error.contains(name) && error.contains("tinychat migrate"), "{error}");
    assert_eq!(old.migrate(&database).await, [format!("created {name}")]);
    Stream::start(&old.route, &url, &event, "Acme").await.stop().await;
    database.drop(&chat).await;
}
