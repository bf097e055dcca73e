//! Images that no message names: remove-expired removes them when they are a day old.

use crate::support::Chat;
use crate::support::images::{age, file, is_there, remove_expired_until, send_image, upload};
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
    chat.call(crate::support::Request::delete(path, &serde_json::json!({ "sender_id": "bob" }))).await.ok();
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
