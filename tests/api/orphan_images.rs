//! Images that no message names, which remove-expired removes when they are a day old.

use serde_json::Value;
use support::images::{age, file, is_there, remove_expired_until, send_image, upload};
use support::lambda::event;
use support::{Chat, Database, Function};
use uuid::Uuid;

#[tokio::test]
async fn an_image_that_no_message_names_after_a_day_is_removed() {
    let chat = Chat::new().await;
    let (old, young, named, forwarded, deleted) = (
        upload(&chat).await,
        upload(&chat).await,
        upload(&chat).await,
        upload(&chat).await,
        upload(&chat).await,
    );
    send_image(&chat, "ada", &named).await;
    send_image(&chat, "bob", &format!("{forwarded}?download=a.png")).await;
    let message = send_image(&chat, "bob", &deleted).await;
    let path = chat.path(&format!("messages/{}", message["id"].as_str().unwrap()));
    chat.call(support::Request::delete(path, &serde_json::json!({ "sender_id": "bob" }))).await.ok();
    for url in [&old, &named, &forwarded, &deleted] {
        age(&file(url), 25);
    }
    age(&file(&young), 23);
    remove_expired_until(&chat, async || !is_there(&chat, &old).await).await;
    for url in [&young, &named, &forwarded, &deleted] {
        assert!(is_there(&chat, url).await, "{url}");
    }
}

#[tokio::test]
async fn what_is_no_upload_of_a_known_conversation_stays() {
    let chat = Chat::new().await;
    let old = upload(&chat).await;
    let copy = |path: String| {
        let copy = file(&format!("/public/chat/{path}"));
        std::fs::create_dir_all(copy.parent().unwrap()).unwrap();
        std::fs::copy(file(&old), &copy).unwrap();
        age(&copy, 1_000);
        copy
    };
    let (tenant, conversation, nobody) = (chat.tenant, &chat.conversation, Uuid::new_v4());
    let copies = [
        copy(format!("doctor/{nobody}.png")),
        copy(format!("{nobody}/{conversation}/{nobody}.png")),
        copy(format!("{tenant}/{nobody}/{nobody}.png")),
        copy(format!("{tenant}/{conversation}/more/{nobody}.png")),
    ];
    age(&file(&old), 25);
    remove_expired_until(&chat, async || !is_there(&chat, &old).await).await;
    for copy in copies {
        assert!(copy.exists(), "{}", copy.display());
    }
}

/// In a database of its own: the local cloud's function checks the same bucket, and leaves conversations alone that it doesn't know.
#[tokio::test]
async fn a_run_continues_after_the_last_file_that_was_checked_and_the_next_pass_waits() {
    let chat = Chat::new().await;
    let database = Database::with(&chat, "").await;
    let (tenant, conversation) = (Uuid::new_v4(), Uuid::new_v4());
    let rows = format!(
        "insert into tinychat.tenants (id, name) values ('{tenant}', 'Test');
        insert into tinychat.conversations (id, tenant_id, kind, participants)
        values ('{conversation}', '{tenant}', 'direct', '{{ada}}')"
    );
    database.client.batch_execute(&rows).await.unwrap();
    let image = file(&upload(&chat).await);
    let path = |n| format!("{tenant}/{conversation}/{n:04}.png");
    // More than are checked at once.
    let files: Vec<_> = (0..600).map(|n| file(&format!("/public/chat/{}", path(n)))).collect();
    std::fs::create_dir_all(files[0].parent().unwrap()).unwrap();
    for file in &files {
        std::fs::copy(&image, file).unwrap();
        age(file, 25);
    }
    let left = || files.iter().filter(|file| file.exists()).count();
    let progress = "insert into tinychat.progress (task, position) values ('images', $1)";
    database.client.execute(progress, &[&path(59)]).await.unwrap();
    let mut function = Function::start("remove-expired", &[("DATABASE_URL", &database.url)]).await;
    for _ in 0..2 {
        assert_eq!(function.invoke(event("remove-expired")).await, Ok(Value::Null));
        assert_eq!((left(), files[59].exists(), files[60].exists()), (60, true, false));
    }
    let hour = "update tinychat.progress set began_at = began_at - interval '61 minutes'";
    database.client.execute(hour, &[]).await.unwrap();
    assert_eq!(function.invoke(event("remove-expired")).await, Ok(Value::Null));
    assert_eq!(left(), 0);
    drop(function);
    database.drop(&chat).await;
}
