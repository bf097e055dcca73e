//! The role that functions log in as: what it can't do. That it can do what it must, the whole suite shows, for the local
//! cloud's functions use it.

use crate::support::setting;
use tokio_postgres::NoTls;

#[tokio::test]
async fn the_functions_log_in_as_a_role_of_their_own() {
    assert!(setting("FUNCTION_DATABASE_URL").starts_with("postgres://tinychat_functions:"));
}

#[tokio::test]
async fn it_can_do_no_more_than_its_statements_do() {
    let role = role().await;
    for statement in [
        "insert into tinychat.tenants (name) values ('mine')",
        "update tinychat.tenants set name = 'mine'",
        "insert into tinychat.api_keys (hash, tenant_id, prefix) select sha256(''), id, '' from tinychat.tenants",
        "update tinychat.api_keys set revoked_at = null",
        "delete from tinychat.messages",
        "update tinychat.messages set sender_id = 'bob'",
        "update tinychat.messages set created_at = now()",
        "update tinychat.conversations set tenant_id = gen_random_uuid()",
        "delete from tinychat.conversations",
        "delete from tinychat.users",
        "truncate tinychat.messages",
        "update tinychat.webhook_endpoints set url = 'https://mine.example'",
        "update tinychat.webhook_endpoints set secret = 'whsec_bWluZQ=='",
        "delete from tinychat.webhook_endpoints",
        "create table tinychat.mine ()",
        "drop table tinychat.messages",
        "alter table tinychat.messages disable row level security",
        "select * from supabase_migrations.schema_migrations",
        "select * from pg_authid",
        "copy (select 1) to program 'true'",
    ] {
        let error = role.batch_execute(statement).await.expect_err(statement);
        assert_eq!(error.code().unwrap().code(), "42501", "{statement}: {error}");
    }
}

#[tokio::test]
async fn what_nobody_awaits_any_more_ends() {
    let row = role().await.query_one("show statement_timeout", &[]).await.unwrap();
    assert_eq!(row.get::<_, &str>(0), "5s");
}

/// A session of the role, straight to Postgres.
async fn role() -> tokio_postgres::Client {
    let mut config: tokio_postgres::Config = setting("DATABASE_URL").parse().unwrap();
    let (client, connection) = config.user("tinychat_functions").connect(NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}
