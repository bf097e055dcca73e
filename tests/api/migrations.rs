//! `tinychat migrate` on a database that is in use.

use std::time::{Duration, Instant};
use support::command_line::run_with;
use support::{Chat, Database};
use tokio::time::sleep;
use tokio_postgres::{Client, NoTls};

/// Undoes the migrations for `since`, so that they can be run again.
const UNDO: &str = "
    drop function tinychat.changed_without_the_clock() cascade;
    drop function tinychat.sent_without_the_clock() cascade;
    drop function tinychat.tick(uuid);
    alter table tinychat.messages drop column changed_at cascade;
    alter table tinychat.conversations drop column changed_at cascade;
    delete from supabase_migrations.schema_migrations where version in ('20261129041000', '20261129042000')";

const DONE: &str = "applied 20261129041000_changes\napplied 20261129042000_changes_index\n";

/// The longest time that a write may wait.
const PATIENCE: Duration = Duration::from_millis(900);

async fn connect(database: &Database) -> Client {
    let (client, connection) = tokio_postgres::connect(&database.url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

async fn migrate(database: &Database) -> (i32, String, String) {
    run_with("migrate", &[("DATABASE_URL", &database.url)]).await
}

#[tokio::test]
async fn nobody_waits_behind_a_migration_that_waits_for_somebody() {
    let chat = Chat::new().await;
    let database = Database::with(&chat, "").await;
    database.client.batch_execute(UNDO).await.unwrap();
    let (somebody, others) = (connect(&database).await, connect(&database).await);
    // This transaction blocks the change of a table, and later the building of an index.
    somebody
        .batch_execute("begin; select from tinychat.conversations; select from tinychat.messages")
        .await
        .unwrap();
    let ((code, done, errors), ()) = tokio::join!(migrate(&database), async {
        for n in 0..60 {
            let began = Instant::now();
            let write =
                "begin; lock table tinychat.messages, tinychat.conversations in row exclusive mode; commit";
            others.batch_execute(write).await.unwrap();
            assert!(began.elapsed() < PATIENCE, "{:?}", began.elapsed());
            sleep(Duration::from_millis(50)).await;
            if n == 30 {
                // The table can be changed now. The index waits for this transaction.
                somebody
                    .batch_execute("commit; begin; lock table tinychat.messages in row exclusive mode")
                    .await
                    .unwrap();
            }
        }
        somebody.batch_execute("commit").await.unwrap();
    });
    assert_eq!((code, done.as_str(), errors.as_str()), (0, DONE, ""));
    drop((somebody, others));
    database.drop(&chat).await;
}

#[tokio::test]
async fn an_index_whose_building_was_interrupted_is_built_again() {
    let chat = Chat::new().await;
    let database = Database::with(&chat, "").await;
    let interrupt =
        "update pg_index set indisvalid = false where indexrelid = 'tinychat.messages_changes'::regclass;
        delete from supabase_migrations.schema_migrations where version = '20261129042000'";
    database.client.batch_execute(interrupt).await.unwrap();
    let (first, second) = tokio::join!(migrate(&database), migrate(&database));
    assert_eq!((first.0, second.0), (0, 0), "{first:?} {second:?}");
    let valid = "select indisvalid from pg_index where indexrelid = 'tinychat.messages_changes'::regclass";
    assert!(database.client.query_one(valid, &[]).await.unwrap().get::<_, bool>(0));
    database.drop(&chat).await;
}
