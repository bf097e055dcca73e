//! `tinychat users erase`, which leaves nothing of a user, and its effect on others.

use serde_json::{Value, json};
use std::path::Path;
use support::command_line::{json, run, run_with};
use support::images::{is_there, send_image, upload};
use support::token_key::TokenKey;
use support::{Chat, Receiver, Reply, Request, setting};

/// Returns the tables and files that contain a text.
async fn places(chat: &Chat, text: &str) -> Vec<String> {
    let tables = "select format('%I.%I', schemaname, tablename) from pg_tables
        where schemaname not in ('pg_catalog', 'information_schema')";
    let mut places = Vec::new();
    for table in chat.db.query(tables, &[]).await.unwrap() {
        let table: String = table.get(0);
        let found = format!("select exists (select from {table} t where strpos(t::text, $1) > 0)");
        if chat.db.query_one(&found, &[&text]).await.unwrap().get(0) {
            places.push(table);
        }
    }
    let mut folders = vec![Path::new(&setting("DATA_DIR")).join("storage")];
    while let Some(folder) = folders.pop() {
        for file in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = file.path();
            let holds = |bytes: Vec<u8>| bytes.windows(text.len()).any(|part| part == text.as_bytes());
            if path.is_dir() {
                folders.push(path);
            } else if path.to_string_lossy().contains(text) || std::fs::read(&path).is_ok_and(holds) {
                places.push(path.to_string_lossy().into_owned());
            }
        }
    }
    places
}

async fn erase(chat: &Chat, user: &str) -> Value {
    json(&format!("users erase {} {user} --yes", chat.tenant)).await
}

#[tokio::test]
async fn nothing_that_a_user_was_or_said_is_left_in_database_and_storage() {
    let chat = Chat::without_messages().await;
    let receiver = Receiver::new().await;
    let events = ["message.created", "message.updated", "message.deleted", "conversation.updated"];
    chat.webhook_for(&receiver.url, &events).await;
    let key = TokenKey::new(&chat).await;
    let user = format!("planted-{}", uuid::Uuid::new_v4().simple());
    let planted = |what: &str| format!("{what}-{user}");
    let conversation = chat.converse(&["ada", &user]).await;
    let path = format!("/v1/conversations/{conversation}/messages");
    let profile = json!({
        "user_id": user, "name": planted("name"), "email": planted("email"), "fcm_tokens": [planted("token")],
        "notification_prefs": { "key": planted("prefs") },
    });
    chat.call(Request::post("/v1/users", &profile)).await.ok();
    let image = upload(&chat).await;
    let mut ids = Vec::new();
    for message in [
        json!({ "body": planted("text"), "client_message_id": "planted-request", "receiver_id": user,
            "metadata": { "key": planted("metadata") } }),
        json!({ "body": planted("edited") }),
        json!({ "body": planted("deleted") }),
        json!({ "message_type": "image", "media_url": image, "body": planted("caption") }),
    ] {
        let request = Request::post(&path, &message).with_field("sender_id", user.as_str());
        ids.push(chat.call(request).await.ok()["message"]["id"].as_str().unwrap().to_owned());
    }
    let of = |n: usize| format!("{path}/{}", ids[n]);
    let edit = json!({ "sender_id": user, "body": planted("again") });
    chat.call(Request::patch(of(1), &edit)).await.ok();
    chat.call(Request::delete(of(2), &json!({ "sender_id": user }))).await.ok();
    // Other users' messages to the user stay, and so do previews of other users' messages.
    let reply = json!({ "sender_id": "ada", "body": "kept", "reply_to": ids[0], "receiver_id": user });
    chat.call(Request::post(&path, &reply)).await.ok();
    // A message in a conversation in which the user is no participant.
    chat.send(&user, &planted("elsewhere")).await;
    let deletion = chat.send("ada", "unwanted").await;
    let deletion = chat.path(&format!("messages/{}", deletion["id"].as_str().unwrap()));
    chat.call(Request::delete(deletion, &json!({ "sender_id": "ada" }))).await.ok(); // now the preview is the user's message
    chat.call(Request::post(format!("/v1/conversations/{conversation}/read"), &json!({ "user_id": user })))
        .await
        .ok();
    // A conversation from which the user was removed.
    let left = format!("/v1/conversations/{}", chat.converse(&["ada", &user]).await);
    chat.add_secret_key(&chat.secret_key()).await;
    for change in [json!({ "status": "closed" }), json!({ "remove_participants": [user] })] {
        chat.call(Request::patch(&left, &change).with_key(chat.secret_key())).await.ok();
    }
    chat.until_deliveries(|delivery| delivery["outcome"] == "delivered").await;
    let echo = "update tinychat.webhook_deliveries set last_answer = 'You sent ' || payload where strpos(payload, $1) > 0";
    chat.db.execute(echo, &[&user]).await.unwrap();
    assert!(places(&chat, &user).await.len() >= 5, "all of that is found where it is");

    let token = key.token(&user);
    let erased = erase(&chat, &user).await;
    assert_eq!(
        ["profiles", "conversations", "messages", "images"].map(|what| erased[what].as_i64().unwrap()),
        [1, 2, 5, 1],
        "{erased}"
    );
    // The revocation of the user's tokens stays until all of them have expired.
    assert_eq!(places(&chat, &user).await, ["tinychat.token_revocations"]);
    assert_eq!(places(&chat, "planted-request").await, Vec::<String>::new());
    assert!(!is_there(&chat, &image).await);
    chat.call(Request::get("/v1/config").with_key(&token)).await.error(401, "invalid user token");
    let later =
        "update tinychat.token_revocations set expires_at = now() - interval '1 s' where tenant_id = $1";
    chat.db.execute(later, &[&chat.tenant]).await.unwrap();
    chat.db.execute("select tinychat.remove_lapsed_revocations()", &[]).await.unwrap();
    assert_eq!(places(&chat, &user).await, Vec::<String>::new());
    assert!(!places(&chat, "kept").await.is_empty());
}

#[tokio::test]
async fn the_response_to_an_attempt_from_before_the_erasure_is_not_stored() {
    let chat = Chat::without_messages().await;
    let receiver =
        Receiver::replying(|attempt| if attempt == 0 { Reply::Status(500) } else { Reply::Echo(4_000) })
            .await;
    chat.webhook(&receiver.url).await;
    let planted = format!("planted-{}", uuid::Uuid::new_v4().simple());
    chat.send("ada", &planted).await;
    receiver.wait_for(2).await;
    erase(&chat, "ada").await;
    chat.until_deliveries(|delivery| delivery["outcome"] == "delivered").await;
    assert_eq!(places(&chat, &planted).await, Vec::<String>::new());
}

#[tokio::test]
async fn others_see_a_thread_of_an_opaque_user_and_learn_of_it_by_since() {
    let chat = Chat::new().await;
    let reply =
        chat.send_with(&json!({ "sender_id": "bob", "body": "hi", "reply_to": chat.message["id"] })).await;
    let seen = reply["updated_at"].as_str().unwrap();
    let opaque = erase(&chat, "ada").await["opaque_id"].take();
    assert!(opaque.as_str().unwrap().starts_with("erased-"), "{opaque}");

    let changes = chat.call(Request::get(chat.path(&format!("messages?since={seen}")))).await.ok();
    let [tombstone] = &changes["messages"].as_array().unwrap()[..] else { panic!("{changes}") };
    assert_eq!((&tombstone["id"], &tombstone["sender_id"]), (&chat.message["id"], &opaque));
    assert!(tombstone["body"].is_null() && tombstone["deleted_at"].is_string(), "{tombstone}");
    let history = chat.history("").await;
    assert_eq!(history.len(), 1);
    assert_eq!((&history[0]["body"], &history[0]["reply_to"]), (&json!("hi"), &chat.message["id"]));

    let conversation = chat.call(Request::get(format!("/v1/conversations/{}", chat.conversation))).await.ok();
    assert_eq!(conversation["conversation"]["participants"], json!([opaque, "bob"]));
    assert_eq!(conversation["conversation"]["members"][0]["name"], Value::Null);
    assert_eq!(chat.conversations_of("bob").await[0]["last_message"], "hi");
    assert_eq!(chat.conversations_of("ada").await, Vec::<Value>::new());
    // A user who registers under the old id again is a new user.
    chat.call(Request::post("/v1/users", &json!({ "user_id": "ada", "name": "Ada" }))).await.ok();
    assert_eq!(chat.conversations_of("ada").await, Vec::<Value>::new());
}

#[tokio::test]
async fn nothing_is_changed_without_yes() {
    let chat = Chat::new().await;
    chat.call(Request::post("/v1/users", &json!({ "user_id": "ada" }))).await.ok();
    let before = chat.rows().await;
    let found = json(&format!("users erase {} ada", chat.tenant)).await;
    assert_eq!(chat.rows().await, before);
    assert_eq!(
        (&found["profiles"], &found["messages"], &found["opaque_id"]),
        (&json!(1), &json!(1), &Value::Null)
    );
    for line in ["users erase {} nobody", "users erase {} nobody --yes"] {
        assert_eq!(run(&line.replace("{}", &chat.tenant.to_string())).await.0, 3, "{line}");
    }
    assert_eq!(chat.rows().await, before);
}

#[tokio::test]
async fn an_image_that_somebody_elses_message_names_stays_and_anothers_tenant_is_left_alone() {
    let (chat, other) = (Chat::new().await, Chat::new().await);
    let (shared, foreign, own) = (upload(&chat).await, upload(&other).await, upload(&chat).await);
    for url in [&shared, &foreign, &own] {
        send_image(&chat, "ada", url).await;
    }
    send_image(&chat, "bob", &format!("{shared}?download")).await;
    send_image(&other, "eve", &own).await; // another tenant's message doesn't keep the image
    let before = other.rows().await;
    assert_eq!(erase(&chat, "ada").await["images"], 1);
    assert!(
        is_there(&chat, &shared).await && is_there(&chat, &foreign).await && !is_there(&chat, &own).await
    );
    assert_eq!(other.rows().await, before);
}

#[tokio::test]
async fn a_storage_that_refuses_leaves_the_messages_until_the_next_run() {
    let chat = Chat::new().await;
    let image = upload(&chat).await;
    send_image(&chat, "ada", &image).await;
    let line = format!("users erase {} ada --yes", chat.tenant);
    let wrong = [("STORAGE_SECRET_ACCESS_KEY", "wrong")];
    let (code, _, error) = run_with(&line, &wrong).await;
    assert_eq!(code, 1);
    assert!(error.contains("storage unavailable"), "{error}");
    let begun = json(&format!("users erase {} ada", chat.tenant)).await;
    assert!(begun["state"].as_str().unwrap().contains("interrupted"), "{begun}");
    let opaque = "select opaque_id from tinychat.erasures where tenant_id = $1";
    let opaque: String = chat.db.query_one(opaque, &[&chat.tenant]).await.unwrap().get(0);
    assert_eq!(erase(&chat, "ada").await["opaque_id"], opaque);
    assert!(!is_there(&chat, &image).await);
    assert_eq!(chat.history("").await, Vec::<Value>::new());
}
