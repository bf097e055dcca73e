//! A database of a test's own, for what Supabase's has and the suite's hasn't.

use super::command_line::run_with;
use super::{Chat, setting};
use reqwest::Url;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio_postgres::{Client, Error, NoTls};
use uuid::Uuid;

/// Roles belong to all databases of a server, which refuses to change one for two at once.
static MIGRATING: Mutex<()> = Mutex::const_new(());

/// A migrated database.
pub struct Database {
    /// Its `DATABASE_URL`.
    pub url: String,
    pub client: Client,
    name: String,
    connection: JoinHandle<Result<(), Error>>,
}

impl Database {
    /// Makes one, with what the SQL makes in it before the migrations.
    pub async fn with(chat: &Chat, sql: &str) -> Self {
        let name = format!("test_{}", Uuid::new_v4().simple());
        chat.db.batch_execute(&format!("create database {name}")).await.unwrap();
        let mut url = Url::parse(&setting("DATABASE_URL")).unwrap();
        url.set_path(&name);
        let (client, connection) = tokio_postgres::connect(url.as_str(), NoTls).await.unwrap();
        let connection = tokio::spawn(connection);
        client.batch_execute(sql).await.unwrap();
        let turn = MIGRATING.lock().await;
        let (code, _, errors) = run_with("migrate", &[("DATABASE_URL", url.as_str())]).await;
        drop(turn);
        assert_eq!(code, 0, "{errors}");
        Self { url: url.into(), client, name, connection }
    }

    pub async fn drop(self, chat: &Chat) {
        drop(self.client);
        self.connection.await.unwrap().unwrap();
        chat.db.batch_execute(&format!("drop database {} with (force)", self.name)).await.unwrap();
    }
}
