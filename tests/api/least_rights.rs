//! The missing rights of the role as which functions log in. The whole suite shows that it has the rights that it needs,
//! because the local cloud's functions use it.

use support::command_line::{json, run};
use support::lambda::event;
use support::{Chat, Function, setting};
use tokio_postgres::{Client, Config, Error, NoTls};
use uuid::Uuid;

#[tokio::test]
async fn the_functions_log_in_as_a_role_of_their_own() {
    assert!(setting("FUNCTION_DATABASE_URL").starts_with("postgres://tinychat_functions:"));
}

#[tokio::test]
async fn it_can_do_no_more_than_its_statements_do() {
    can_do_no_more_than_its_statements_do(&role().await).await;
}

async fn can_do_no_more_than_its_statements_do(role: &Client) {
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
        "create function tinychat_api.mine() returns integer language sql return 1",
        "update tinychat.route_functions set name = 'mine'",
        "delete from tinychat.route_functions",
        "select tinychat.may_listen('conv:1')",
        "update tinychat.token_keys set revoked_at = null",
        "delete from tinychat.token_revocations",
        "select * from tinychat.erasures",
        "update tinychat.tenants set retention_days = 1",
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
    assert_eq!(row.get::<_, &str>(0), "2500ms");
}

#[tokio::test]
async fn a_second_role_has_the_same_rights_settings_and_no_others() {
    let chat = Chat::new().await;
    let made = Made::new(&chat).await;
    let second = connect(&made.name, &made.password).await.unwrap();
    can_do_no_more_than_its_statements_do(&second).await;
    let settings = "select name, setting, coalesce(unit, '') from pg_settings
        where source = 'user' or name in ('search_path', 'statement_timeout') order by name";
    let of = async |client: &Client| {
        let rows = client.query(settings, &[]).await.unwrap();
        rows.iter().map(|row| [row.get(0), row.get(1), row.get(2)]).collect::<Vec<[String; 3]>>()
    };
    let (first, second) = (of(&role().await).await, of(&second).await);
    assert_eq!(first, second);
    assert!(first.iter().any(|[name, value, _]| name == "search_path" && value == "\"\""), "{first:?}");

    let url = setting("FUNCTION_DATABASE_URL").replace("tinychat_functions", &made.name);
    for name in ["get-config", "upsert-user", "send-message", "list-messages", "list-conversations"] {
        let mut function = Function::start(name, &[("DATABASE_URL", &url)]).await;
        let (status, response) = function.call(event(name)).await;
        assert_eq!(status, 200, "{name}: {response}");
    }
    made.drop(&chat).await;
}

#[tokio::test]
async fn a_second_roles_password_is_shown_once_and_is_the_one_that_opens() {
    let chat = Chat::new().await;
    let made = Made::new(&chat).await;
    let grant = format!("grant password_required to {}", made.name);
    chat.db.batch_execute(&grant).await.unwrap();
    connect(&made.name, &made.password).await.unwrap();
    let error = connect(&made.name, "wrong").await.err().unwrap();
    assert_eq!(error.code().unwrap().code(), "28P01");
    let (code, _, errors) = run(&format!("role create {}", made.name)).await;
    assert_eq!((code, errors), (1, format!("error: the role {} already exists\n", made.name)));
    made.drop(&chat).await;
}

#[tokio::test]
async fn a_role_in_use_is_dropped_by_force_only_and_no_other_role_at_all() {
    let chat = Chat::new().await;
    let made = Made::new(&chat).await;
    let session = connect(&made.name, &made.password).await.unwrap();
    let (code, _, errors) = run(&format!("role drop {}", made.name)).await;
    assert_eq!(code, 1);
    assert!(errors.contains("has 1 open connections"), "{errors}");
    assert_eq!(run(&format!("role drop {} --force", made.name)).await.0, 0);
    assert!(connect(&made.name, &made.password).await.is_err());
    drop(session);
    for (name, code) in
        [("postgres", 3), (made.name.as_str(), 3), ("tinychat_functions", 2), ("a\"b", 2), ("pg_x", 2)]
    {
        assert_eq!(run(&format!("role drop {name}")).await.0, code, "{name}");
    }
    connect("postgres", "postgres").await.unwrap();
}

/// A role created with `tinychat role create`.
struct Made {
    name: String,
    password: String,
}

impl Made {
    /// Creates a role, and the group whose members need a password. On this machine, other roles log in without one.
    async fn new(chat: &Chat) -> Self {
        let group =
            "do $$ begin create role password_required; exception when duplicate_object or unique_violation
            then null; end $$";
        chat.db.batch_execute(group).await.unwrap();
        let name = format!("test_{}", Uuid::new_v4().simple());
        let made = json(&format!("role create {name}")).await;
        assert_eq!(made["role"], name);
        Self { name, password: made["password"].as_str().unwrap().to_owned() }
    }

    /// Drops the role when the connections of the stopped functions have ended.
    async fn drop(self, chat: &Chat) {
        let sessions = "select count(*) from pg_stat_activity where usename = $1";
        for _ in 0..100 {
            if chat.db.query_one(sessions, &[&self.name]).await.unwrap().get::<_, i64>(0) == 0 {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        let (code, _, errors) = run(&format!("role drop {} --force", self.name)).await;
        assert_eq!((code, errors.as_str()), (0, ""));
    }
}

/// Opens a session of the functions' role, without the pooler.
async fn role() -> Client {
    connect("tinychat_functions", "local").await.unwrap()
}

async fn connect(user: &str, password: &str) -> Result<Client, Error> {
    let mut config: Config = setting("DATABASE_URL").parse().unwrap();
    let (client, connection) = config.user(user).password(password).connect(NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}
