//! A separate database for a test, which can have what Supabase has and the suite's database lacks.

use crate::command_line::run_with;
use crate::{Chat, setting};
use reqwest::Url;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio_postgres::{Client, Error, NoTls};
use uuid::Uuid;

/// Roles belong to all databases of a server. Two migrations at once would change the same role, which Postgres refuses.
static MIGRATING: Mutex<()> = Mutex::const_new(());

/// A migrated database.
pub struct Database {
    /// Its `DATABASE_URL`.
    pub url: String,
    /// A connection as the superuser.
    pub client: Client,
    name: String,
    connection: JoinHandle<Result<(), Error>>,
}

impl Database {
    /// Creates a database, runs this SQL in it, and then the migrations.
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

    /// Drops the database.
    pub async fn drop(self, chat: &Chat) {
        drop(self.client);
        self.connection.await.unwrap().unwrap();
        chat.db.batch_execute(&format!("drop database {} with (force)", self.name)).await.unwrap();
    }
}
