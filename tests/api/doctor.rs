//! `tinychat doctor`: well in the local cloud, and otherwise to the point.

use crate::support::command_line::run_with;
use crate::support::database::Database;
use crate::support::{Chat, setting};
use serde_json::{Value, json};

/// The exit code, and the findings by check.
async fn doctor(changes: &[(&str, &str)]) -> (i32, Value) {
    let (code, output, _) = run_with("--json doctor", changes).await;
    let findings: Vec<Value> = serde_json::from_str(&output).unwrap();
    let by_check =
        findings.into_iter().map(|finding| (finding["check"].as_str().unwrap().to_owned(), finding));
    (code, by_check.collect())
}

#[tokio::test]
async fn all_is_well_in_the_local_cloud_and_not_with_a_role_that_lacks_settings() {
    for change in [("REALTIME_PRIVATE", "false"), ("REALTIME_PRIVATE", "true")] {
        let (code, findings) = doctor(&[change]).await;
        assert_eq!(code, 0, "{findings:#}");
        assert_eq!(findings.as_object().unwrap().len(), 7);
    }
    // In the same test, because roles are for all databases.
    let name = format!("test_{}", uuid::Uuid::new_v4().simple());
    let chat = Chat::without_messages().await;
    chat.db.batch_execute(&format!("create role {name} login in role tinychat_functions")).await.unwrap();
    let (code, findings) = doctor(&[]).await;
    chat.db.batch_execute(&format!("drop role {name}")).await.unwrap();
    let finding = &findings["functions' role"];
    assert_eq!((code, &finding["well"]), (1, &json!("no")), "{findings:#}");
    assert!(finding["seen"].as_str().unwrap().contains(&name), "{findings:#}");
}

#[tokio::test]
async fn what_is_wrong_is_named_and_the_rest_is_still_looked_at() {
    for (name, value, unwell, advice) in [
        ("SUPABASE_ANON_KEY", "wrong", "realtime", "SUPABASE_ANON_KEY"),
        ("SUPABASE_SERVICE_ROLE_KEY", "sb_secret_wrong", "realtime", "SUPABASE_SERVICE_ROLE_KEY"),
        ("SUPABASE_ANON_KEY", &setting("SUPABASE_SERVICE_ROLE_KEY"), "settings", "SUPABASE_ANON_KEY must be"),
        ("SUPABASE_ANON_KEY", "sb_secret_wrong", "settings", "SUPABASE_ANON_KEY must be"),
        (
            "SUPABASE_SERVICE_ROLE_KEY",
            &setting("SUPABASE_ANON_KEY"),
            "settings",
            "SUPABASE_SERVICE_ROLE_KEY must be",
        ),
        ("SUPABASE_SERVICE_ROLE_KEY", "sb_publishable_x", "settings", "SUPABASE_SERVICE_ROLE_KEY must be"),
        ("STORAGE_SECRET_ACCESS_KEY", "wrong", "storage", "STORAGE_SECRET_ACCESS_KEY"),
        ("STORAGE_BUCKET", "nowhere", "storage", "nowhere"),
        ("STORAGE_REGION", "", "storage", "STORAGE_REGION"),
        ("DATABASE_URL", "postgres://u:hunter2@127.0.0.1:1/d", "database", "DATABASE_URL"),
    ] {
        let (code, findings) = doctor(&[(name, value)]).await;
        assert_eq!(code, 1, "{name}");
        assert_eq!(findings[unwell]["well"], "no", "{name}: {findings:#}");
        assert!(findings[unwell]["seen"].as_str().unwrap().contains(advice), "{name}: {findings:#}");
        assert!(!findings.to_string().contains("hunter2"), "{findings:#}");
        let other = if unwell == "storage" { "realtime" } else { "storage" };
        assert_eq!(findings[other]["well"], json!("yes"), "{name}: {findings:#}");
    }
}

#[tokio::test]
async fn a_missing_route_function_is_named() {
    let chat = Chat::new().await;
    let database = Database::with(&chat, "").await;
    let row =
        database.client.query_one("select name from tinychat.route_functions limit 1", &[]).await.unwrap();
    let name: &str = row.get(0);
    database.client.batch_execute(&format!("drop function tinychat_api.{name}")).await.unwrap();
    let (_, findings) = doctor(&[("DATABASE_URL", &database.url)]).await;
    let seen = findings["schema"]["seen"].as_str().unwrap();
    assert!(seen.contains("tinychat migrate") && seen.contains(name), "{seen}");

    let (_, done, _) = run_with("migrate", &[("DATABASE_URL", &database.url)]).await;
    assert_eq!(done.trim(), format!("created tinychat_api.{name}"));
    let (_, findings) = doctor(&[("DATABASE_URL", &database.url)]).await;
    assert_eq!(findings["schema"]["well"], "yes");
    database.drop(&chat).await;
}
