//! Erasures and retention beside traffic, and an erasure that is interrupted.

use crate::cloud::superuser;
use futures_util::future::join_all;
use serde_json::json;
use std::collections::BTreeMap;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use support::command_line::{json as tinychat, run};
use support::lambda::binary;
use support::{Chat, Request, TIMEOUT};
use tokio::process::Command;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

/// How many of the tenant's rows still have a text in them.
async fn rows_with(chat: &Chat, text: &str) -> usize {
    chat.rows().await.to_string().matches(text).count()
}

#[tokio::test]
async fn an_interrupted_erasure_goes_on_with_the_same_opaque_id() {
    let chat = Chat::without_messages().await;
    let mut conversations = vec![chat.conversation.clone(), chat.converse(&["ada", "eve"]).await];
    conversations.sort();
    for conversation in &conversations {
        let path = format!("/v1/conversations/{conversation}/messages");
        chat.call(Request::post(path, &json!({ "sender_id": "ada", "body": "planted" }))).await.ok();
    }
    // It comes to the first one, and then waits for the second.
    let locked = superuser().await;
    locked.batch_execute("begin").await.unwrap();
    let lock = "select from tinychat.conversations where id = $1::text::uuid for update";
    locked.query(lock, &[&conversations[1]]).await.unwrap();
    let line = format!("users erase {} ada --yes", chat.tenant);
    let mut erasure = Command::new(binary("tinychat"));
    let mut erasure = erasure.args(line.split(' ')).stdout(Stdio::null()).kill_on_drop(true).spawn().unwrap();
    let deadline = Instant::now() + TIMEOUT;
    while rows_with(&chat, "planted").await > 1 {
        assert!(Instant::now() < deadline, "nothing is erased");
        sleep(Duration::from_millis(20)).await;
    }
    erasure.kill().await.unwrap();
    locked.batch_execute("rollback").await.unwrap();
    assert_eq!(rows_with(&chat, "planted").await, 1);

    let erased = tinychat(&line).await;
    assert_eq!((&erased["messages"], &erased["state"]), (&json!(1), &json!("erased")));
    assert_eq!((rows_with(&chat, "planted").await, rows_with(&chat, "\"ada\"").await), (0, 0));
    let opaque = erased["opaque_id"].as_str().unwrap();
    for conversation in &conversations {
        let shown = chat.call(Request::get(format!("/v1/conversations/{conversation}"))).await.ok();
        assert_eq!(shown["conversation"]["participants"][0], opaque);
    }
    let left = "select from tinychat.erasures where tenant_id = $1";
    assert!(chat.db.query(left, &[&chat.tenant]).await.unwrap().is_empty());
}

/// A client that knows the conversation by its changes alone: ids, and texts that are still shown.
async fn follow(chat: &Chat, ended: &AtomicBool) -> BTreeMap<String, Option<String>> {
    let (mut known, mut since) = (BTreeMap::new(), "2020-01-01T00:00:00.000Z".to_owned());
    loop {
        let last = ended.load(Ordering::SeqCst);
        let changes =
            chat.call(Request::get(chat.path(&format!("messages?since={since}&limit=200")))).await.ok();
        for message in changes["messages"].as_array().unwrap() {
            let updated_at = message["updated_at"].as_str().unwrap();
            assert!(updated_at > since.as_str(), "times increase");
            updated_at.clone_into(&mut since);
            known.insert(
                message["id"].as_str().unwrap().to_owned(),
                message["body"].as_str().map(str::to_owned),
            );
        }
        if last && changes["more"] == false {
            return known;
        }
        sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn an_erasure_beside_sends_loses_nobody_elses_and_followers_see_all_of_it() {
    let chat = Chat::without_messages().await;
    let ended = AtomicBool::new(false);
    for n in 0..250 {
        chat.send("ada", &format!("planted {n}")).await;
    }
    let send = async |sender: &str, until: &dyn Fn(usize) -> bool| {
        let mut sent = Vec::new();
        while until(sent.len()) {
            let body = format!("{} of {sender}", if sender == "ada" { "planted" } else { "kept" });
            sent.push(chat.send(sender, &body).await["id"].as_str().unwrap().to_owned());
        }
        sent
    };
    let until_erased = |_: usize| !ended.load(Ordering::SeqCst);
    let erase = async {
        let erased = tinychat(&format!("users erase {} ada --yes", chat.tenant)).await;
        sleep(Duration::from_millis(200)).await;
        ended.store(true, Ordering::SeqCst);
        erased
    };
    // Ada herself goes on for a moment.
    let (erased, bobs, eves, _, known) = tokio::join!(
        erase,
        send("bob", &until_erased),
        send("eve", &until_erased),
        send("ada", &|sent| sent < 20),
        follow(&chat, &ended),
    );
    assert!(erased["messages"].as_i64().unwrap() >= 250, "{erased}");
    // Another run erases what she sent after the last pass. It finds nothing else.
    let (code, _, _) = run(&format!("users erase {} ada --yes", chat.tenant)).await;
    assert!([0, 3].contains(&code));
    assert_eq!((rows_with(&chat, "planted").await, rows_with(&chat, "\"ada\"").await), (0, 0));

    let history = "select id::text, body, created_at, changed_at from tinychat.messages
        where conversation_id = $1::text::uuid order by created_at";
    let rows = chat.db.query(history, &[&chat.conversation]).await.unwrap();
    let stored: BTreeMap<String, Option<String>> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    for id in bobs.iter().chain(&eves) {
        assert!(stored[id].as_ref().is_some_and(|body| body.starts_with("kept")), "{id} is lost");
    }
    let mut times: Vec<std::time::SystemTime> =
        rows.iter().map(|row| row.get::<_, Option<_>>(3).unwrap_or_else(|| row.get(2))).collect();
    let count = times.len();
    times.sort();
    times.dedup();
    assert_eq!(times.len(), count, "no two changes have the same time");
    if code == 3 {
        let erased = stored.iter().filter(|(_, body)| body.is_none());
        assert!(erased.count() >= 250);
        for (id, body) in stored.iter().filter(|(id, body)| body.is_none() || known.contains_key(*id)) {
            assert_eq!(known.get(id), Some(body), "followers know what is erased");
        }
    }
}

#[tokio::test]
async fn replies_to_messages_that_expire_are_taken_or_refused_and_never_fail() {
    let chat = Chat::without_messages().await;
    let old = "insert into tinychat.messages (conversation_id, id, sender_id, body, message_type, created_at)
        select $1::text::uuid, tinychat.message_id_at(at), 'ada', 'old', 'text', at
        from generate_series(1, 2000) n
        cross join lateral (select tinychat.now_ms() - interval '9 days' + n * interval '1 ms') t (at)
        returning id";
    let old: Vec<Uuid> =
        chat.db.query(old, &[&chat.conversation]).await.unwrap().iter().map(|row| row.get(0)).collect();
    tinychat(&format!("tenants retention {} 5", chat.tenant)).await;
    let removed = AtomicBool::new(false);
    let remove = async {
        let remove = "select removed from tinychat.remove_expired_messages(array[$1::text::uuid], 50)";
        let client = superuser().await;
        while client.query_one(remove, &[&chat.conversation]).await.unwrap().get::<_, i32>(0) > 0 {
            sleep(Duration::from_millis(5)).await;
        }
        removed.store(true, Ordering::SeqCst);
    };
    let replies = (0..4).map(|n| {
        let (chat, old, removed) = (&chat, &old, &removed);
        async move {
            let (mut taken, mut refused) = (0, 0);
            for id in old.iter().skip(n).step_by(4) {
                if removed.load(Ordering::SeqCst) && refused > 0 {
                    break;
                }
                let reply = json!({ "sender_id": "bob", "body": "reply", "reply_to": id });
                let began = Instant::now();
                let response = chat.call(Request::post(chat.path("messages"), &reply)).await;
                assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
                if response.status == 200 {
                    taken += 1;
                } else {
                    response.error(400, "reply_to is not a message in this conversation");
                    refused += 1;
                }
            }
            (taken, refused)
        }
    });
    let ((), counts) = tokio::join!(remove, join_all(replies));
    assert!(counts.iter().map(|(_, refused)| refused).sum::<i32>() > 0, "{counts:?}");
    let taken: i32 = counts.iter().map(|(taken, _)| taken).sum();
    let history = "select reply_to from tinychat.messages where conversation_id = $1::text::uuid";
    let history = chat.db.query(history, &[&chat.conversation]).await.unwrap();
    assert_eq!(i32::try_from(history.len()), Ok(taken));
    assert!(history.iter().all(|row| row.get::<_, Option<Uuid>>(0).is_none()));
}
