//! `tinychat webhooks`, and its effect on deliveries.

use serde_json::Value;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use support::command_line::{json, run};
use support::lambda::binary;
use support::receiver::until_claimed;
use support::{Chat, Receiver, Reply, assert_keys};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::Command;
use uuid::Uuid;

fn is_delivered(delivery: &Value) -> bool {
    delivery["outcome"] == "delivered"
}

/// Registers an endpoint. Returns its id and its secret.
async fn create(chat: &Chat, url: &str) -> (String, String) {
    let made = json(&format!("webhooks create {} {url}", chat.tenant)).await;
    assert_keys(&made, &["endpoint", "secret"]);
    let text = |field: &str| made[field].as_str().unwrap().to_owned();
    (text("endpoint"), text("secret"))
}

#[tokio::test]
async fn a_new_endpoint_hears_of_what_it_wants() {
    let chat = Chat::without_messages().await;
    let receiver = Receiver::new().await;
    let (id, secret) = create(&chat, &receiver.url).await;
    chat.send("ada", "one").await;
    assert!(receiver.wait_for(1).await[0].is_signed_by(&secret));
    let set = format!("webhooks set {} {id} --event message.updated --event message.deleted", chat.tenant);
    assert_eq!(json(&set).await["events"], "message.updated message.deleted");
    chat.send("ada", "two").await;
    assert_eq!(chat.deliveries().await.len(), 1);
    let elsewhere = Receiver::new().await;
    let set = format!("webhooks set {} {id} --url {} --event message.created", chat.tenant, elsewhere.url);
    assert_eq!(json(&set).await["url"], elsewhere.url);
    chat.send("ada", "three").await;
    elsewhere.wait_for(1).await;
    let (code, list, _) = run(&format!("--json webhooks list {}", chat.tenant)).await;
    assert_eq!(code, 0);
    assert!(list.contains(&id) && list.contains("\"active\""), "{list}");
    assert!(!list.contains(secret.trim_start_matches("whsec_")), "a secret is shown once");
}

#[tokio::test]
async fn an_endpoint_with_recipients_is_made_so_shown_so_and_changed() {
    let chat = Chat::without_messages().await;
    let receiver = Receiver::new().await;
    let made = json(&format!("webhooks create {} {} --recipients", chat.tenant, receiver.url)).await;
    let id = made["endpoint"].as_str().unwrap();
    let (plain, _) = create(&chat, "http://127.0.0.1:1/").await;
    let list = json(&format!("webhooks list {}", chat.tenant)).await;
    let shown: Vec<_> =
        list.as_array().unwrap().iter().map(|each| (&each["id"], &each["recipients"])).collect();
    assert_eq!(shown, [(&id.into(), &true.into()), (&plain.into(), &false.into())]);
    chat.send("ada", "one").await;
    let event = receiver.wait_for(1).await[0].json();
    assert_eq!(event["data"]["recipients"][0]["user_id"], "bob");
    let set = |change: &str| format!("webhooks set {} {id} {change}", chat.tenant);
    assert_eq!(json(&set("--recipients off")).await["recipients"], false);
    chat.send("ada", "two").await;
    assert!(receiver.wait_for(2).await[1].json()["data"].get("recipients").is_none());
    assert_eq!(json(&set("--recipients on")).await["recipients"], true);
    assert_eq!(json(&set("--event message.created")).await["recipients"], true, "other changes leave it");
}

#[tokio::test]
async fn a_test_is_signed_and_shows_the_answer() {
    let chat = Chat::without_messages().await;
    let receiver = Receiver::replying(|_| Reply::Text(200, "thanks".to_owned())).await;
    let (id, secret) = create(&chat, &receiver.url).await;
    let result = json(&format!("webhooks test {} {id}", chat.tenant)).await;
    assert_eq!((&result["status"], &result["answer"]), (&200.into(), &"thanks".into()));
    let event = &receiver.received()[0];
    assert!(event.is_signed_by(&secret));
    assert_eq!(event.json()["type"], "test");
    assert!(chat.deliveries().await.is_empty());

    let set = format!("webhooks set {} {id} --url http://127.0.0.1:1/", chat.tenant);
    json(&set).await;
    let (code, output, error) = run(&format!("webhooks test {} {id}", chat.tenant)).await;
    assert_eq!((code, error.as_str()), (1, "error: the endpoint didn't accept the event\n"));
    assert!(output.contains("onnection refused"), "{output}");
}

#[tokio::test]
async fn a_rotated_secret_signs_until_its_overlap_is_over() {
    let chat = Chat::without_messages().await;
    let receiver = Receiver::new().await;
    let (id, old) = create(&chat, &receiver.url).await;
    let rotate = |overlap: u8| format!("webhooks rotate {} {id} --overlap {overlap}", chat.tenant);
    let new = json(&rotate(1)).await["secret"].as_str().unwrap().to_owned();
    chat.send("ada", "one").await;
    let event = receiver.wait_for(1).await.remove(0);
    assert!(event.is_signed_by(&old) && event.is_signed_by(&new));
    json(&rotate(0)).await;
    chat.send("ada", "two").await;
    let event = receiver.wait_for(2).await.remove(1);
    assert!(!event.is_signed_by(&old) && !event.is_signed_by(&new));
}

#[tokio::test]
async fn a_disabled_endpoint_hears_nothing_until_it_is_enabled() {
    let chat = Chat::without_messages().await;
    let receiver = Receiver::new().await;
    let (id, _) = create(&chat, &receiver.url).await;
    let disabled = json(&format!("webhooks disable {} {id}", chat.tenant)).await;
    assert_eq!(disabled["state"], "disabled: by an operator");
    chat.send("ada", "unheard").await;
    assert_eq!(json(&format!("webhooks enable {} {id}", chat.tenant)).await["state"], "active");
    chat.send("ada", "heard").await;
    assert!(receiver.wait_for(1).await[0].body.contains("\"heard\""));
}

#[tokio::test]
async fn a_deleted_endpoint_is_gone_with_its_deliveries() {
    let chat = Chat::without_messages().await;
    let (receiver, other) = (Receiver::new().await, Receiver::new().await);
    let (id, _) = create(&chat, &receiver.url).await;
    create(&chat, &other.url).await;
    chat.send("ada", "one").await;
    chat.until_deliveries(is_delivered).await;
    let delete = format!("webhooks delete {} {id}", chat.tenant);
    assert_eq!(json(&delete).await["deleted"], id);
    assert_eq!(run(&delete).await.0, 3);
    assert_eq!((chat.endpoints().await.len(), chat.deliveries().await.len()), (1, 1));
    chat.send("ada", "two").await;
    other.wait_for(2).await;
    assert_eq!(receiver.received().len(), 1);
}

#[tokio::test]
async fn what_waits_at_an_enabled_endpoint_follows_when_it_has_taken_a_first_event() {
    let chat = Chat::without_messages().await;
    let status = Arc::new(AtomicU16::new(500));
    let answered = status.clone();
    let receiver = Receiver::replying(move |_| Reply::Status(answered.load(Ordering::Relaxed))).await;
    let (id, _) = create(&chat, &receiver.url).await;
    for body in ["one", "two", "three", "four"] {
        chat.send("ada", body).await;
    }
    chat.until_deliveries(|delivery| delivery["attempts"] == 1).await;
    json(&format!("webhooks disable {} {id}", chat.tenant)).await;
    chat.make_due().await;
    json(&format!("webhooks enable {} {id}", chat.tenant)).await;
    let before = receiver.received().len();
    receiver.wait_for(before + 1).await;
    until_claimed().await;
    chat.until_deliveries(|delivery| delivery["claimed"] == false).await;
    assert_eq!(receiver.received().len(), before + 1, "a single event shows that it still fails");

    status.store(200, Ordering::Relaxed);
    chat.make_due().await;
    chat.until_deliveries(is_delivered).await;
}

#[tokio::test]
async fn nothing_is_replayed_to_a_disabled_endpoint() {
    let chat = Chat::without_messages().await;
    let receiver = Receiver::new().await;
    let (id, _) = create(&chat, &receiver.url).await;
    chat.send("ada", "hi").await;
    let event = chat.until_deliveries(is_delivered).await[0]["event_id"].as_str().unwrap().to_owned();
    json(&format!("webhooks disable {} {id}", chat.tenant)).await;
    for what in [event, "--since 2020-01-01T00:00:00Z".to_owned()] {
        let (code, _, error) = run(&format!("webhooks replay {} {what}", chat.tenant)).await;
        assert_eq!(
            (code, error.as_str()),
            (1, "error: the endpoint is disabled: enable it first, with `tinychat webhooks enable`\n")
        );
    }
    let other = Receiver::new().await;
    create(&chat, &other.url).await;
    chat.send("ada", "to the other").await;
    chat.until_deliveries(is_delivered).await;
    let again = format!("webhooks replay {} --since 2020-01-01T00:00:00Z", chat.tenant);
    let replayed = json(&again).await;
    assert_eq!((&replayed["replayed"], &replayed["at_disabled_endpoints"]), (&1.into(), &1.into()));
    other.wait_for(2).await;
    assert_eq!(receiver.received().len(), 1);
}

#[tokio::test]
async fn a_replayed_event_is_as_young_as_a_new_one() {
    let chat = Chat::without_messages().await;
    let receiver = Receiver::new().await;
    create(&chat, &receiver.url).await;
    chat.send("ada", "hi").await;
    chat.until_deliveries(is_delivered).await;
    let age = "update tinychat.webhook_deliveries d set queued_at = now() - interval '4 days'
        from tinychat.webhook_endpoints w where w.id = d.endpoint_id and w.tenant_id = $1";
    chat.db.execute(age, &[&chat.tenant]).await.unwrap();
    json(&format!("webhooks replay {} --since 2020-01-01T00:00:00Z", chat.tenant)).await;
    receiver.wait_for(2).await;
    let queued = chat.until_deliveries(is_delivered).await[0]["queued_at"].take();
    assert!(queued.as_str() > chat.deliveries().await[0]["created_at"].as_str());
}

#[tokio::test]
async fn deliveries_are_shown_and_replayed() {
    let chat = Chat::without_messages().await;
    let status = Arc::new(AtomicU16::new(500));
    let answered = status.clone();
    let receiver =
        Receiver::replying(move |_| Reply::Text(answered.load(Ordering::Relaxed), "\u{1b}[2Jno".to_owned()))
            .await;
    let (id, _) = create(&chat, &receiver.url).await;
    chat.send("ada", "one").await;
    chat.until_deliveries(|delivery| delivery["attempts"] == 1).await;
    let list = format!("webhooks deliveries {} --endpoint {id}", chat.tenant);
    let shown = json(&list).await[0].take();
    assert_eq!((&shown["state"], &shown["status"]), (&"waiting".into(), &500.into()));
    assert_eq!((&shown["attempts"], &shown["answer"]), (&1.into(), &"\u{1b}[2Jno".into()));
    assert!(shown["latency_ms"].is_u64() && shown["next_attempt_at"].is_string());
    let (_, table, _) = run(&list).await;
    assert!(table.contains(r"\u{1b}[2Jno") && !table.contains('\u{1b}'), "{table}");

    status.store(200, Ordering::Relaxed);
    chat.send("ada", "two").await;
    let deliveries = chat.deliveries().await;
    let since = deliveries[1]["created_at"].as_str().unwrap();
    chat.make_due().await;
    let all = chat.until_deliveries(is_delivered).await;
    let before = receiver.received();
    let again = |what: &str| format!("webhooks replay {} {what}", chat.tenant);
    assert_eq!(json(&again(&format!("--since {since}"))).await["replayed"], 1);
    let one = receiver.wait_for(before.len() + 1).await.pop().unwrap();
    assert_eq!(
        (all[1]["event_id"].as_str().unwrap(), &all[1]["payload"]),
        (&*one.id, &one.body.clone().into())
    );
    chat.until_deliveries(is_delivered).await;
    let first = all[0]["event_id"].as_str().unwrap();
    assert_eq!(json(&again(first)).await["replayed"], 1);
    assert_eq!(receiver.wait_for(before.len() + 2).await.pop().unwrap().id, first);
    chat.until_deliveries(is_delivered).await;
    assert_eq!(json(&again("--since 2020-01-01T00:00:00Z")).await["replayed"], 2);
    receiver.wait_for(before.len() + 4).await;
    assert_eq!(json(&again("--since 2100-01-01T00:00:00Z")).await["replayed"], 0);
}

#[tokio::test]
async fn what_is_another_tenants_is_not_there() {
    let (chat, other) = (Chat::without_messages().await, Chat::without_messages().await);
    let receiver = Receiver::new().await;
    let (id, _) = create(&chat, &receiver.url).await;
    chat.send("ada", "hi").await;
    let event = chat.until_deliveries(is_delivered).await[0]["event_id"].as_str().unwrap().to_owned();
    let before = chat.endpoints().await;
    for command in [
        format!("test {} {id}", other.tenant),
        format!("rotate {} {id}", other.tenant),
        format!("disable {} {id}", other.tenant),
        format!("delete {} {id}", other.tenant),
        format!("deliveries {} --endpoint {id}", other.tenant),
        format!("replay {} --since 2020-01-01T00:00:00Z --endpoint {id}", other.tenant),
        format!("set {} {id} --url http://127.0.0.1:1/", other.tenant),
        format!("replay {} {event}", other.tenant),
        format!("create {} {}", Uuid::new_v4(), receiver.url),
    ] {
        assert_eq!(run(&format!("webhooks {command}")).await.0, 3, "{command}");
    }
    for list in ["list", "deliveries"] {
        assert_eq!(json(&format!("webhooks {list} {}", other.tenant)).await, Value::Array(vec![]));
    }
    assert_eq!(
        json(&format!("webhooks replay {} --since 2020-01-01T00:00:00Z", other.tenant)).await["replayed"],
        0
    );
    assert_eq!(chat.endpoints().await, before);
    assert_eq!(receiver.received().len(), 1);
}

#[tokio::test]
async fn an_address_that_events_may_not_go_to_is_refused() {
    let chat = Chat::without_messages().await;
    for url in ["nowhere", "ftp://example.com", "http://ada:secret@127.0.0.1/"] {
        let (code, _, error) = run(&format!("webhooks create {} {url}", chat.tenant)).await;
        assert_eq!(code, 2, "{url}");
        assert!(error.starts_with("error: refused: ") && !error.contains("secret"), "{error}");
    }
    assert!(chat.endpoints().await.is_empty());
}

#[tokio::test]
async fn listen_verifies_what_arrives_and_prints_a_line_each() {
    let chat = Chat::without_messages().await;
    let (id, secret) = create(&chat, "http://127.0.0.1:1/").await;
    for by_environment in [true, false] {
        let mut command = Command::new(binary("tinychat"));
        command.args(["webhooks", "listen"]).stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        if by_environment {
            command.env("WEBHOOK_SECRET", &secret);
        }
        let mut listen = command.spawn().unwrap();
        if !by_environment {
            let line = format!("{secret}\n");
            listen.stdin.take().unwrap().write_all(line.as_bytes()).await.unwrap();
        }
        let mut lines = BufReader::new(listen.stdout.take().unwrap()).lines();
        let first = lines.next_line().await.unwrap().unwrap();
        let url = first.split(' ').find_map(|word| word.strip_suffix(',')).unwrap();
        json(&format!("webhooks set {} {id} --url {url}", chat.tenant)).await;
        json(&format!("webhooks test {} {id}", chat.tenant)).await;
        let line = lines.next_line().await.unwrap().unwrap();
        assert!(line.starts_with("✓ test  ") && line.contains("signature valid"), "{line}");
        chat.send("ada", "hi\u{1b}[2J there").await;
        chat.make_due().await;
        let line = lines.next_line().await.unwrap().unwrap();
        assert!(line.starts_with("✓ message.created  "), "{line}");
        assert!(line.ends_with(r"ada: hi\u{1b}[2J there"), "{line}");

        let forged = reqwest::Client::new().post(url).body("{}").send().await.unwrap();
        assert_eq!(forged.status(), 401);
        // The event may come twice, because it was made due during its first attempt.
        let mut line = lines.next_line().await.unwrap().unwrap();
        if line.starts_with("✓ message.created  ") {
            line = lines.next_line().await.unwrap().unwrap();
        }
        assert!(line.starts_with("✗ no event  no webhook-id  signature "), "{line}");
    }
    let without = Command::new(binary("tinychat")).args(["webhooks", "listen"]).stdin(Stdio::null()).output();
    let without = without.await.unwrap();
    assert_eq!(without.status.code(), Some(2));
    assert!(String::from_utf8(without.stderr).unwrap().contains("WEBHOOK_SECRET"));
}
