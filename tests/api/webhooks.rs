//! Webhooks: the events that endpoints get, their signatures, and retries.

use serde_json::{Value, json};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use support::lambda::event_of;
use support::receiver::{Received, new_secret, until_claimed};
use support::{Chat, Document, Function, Receiver, Reply, Request, TIMEOUT};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::time::{Instant, sleep};

fn edit(chat: &Chat) -> Request {
    Request::patch(chat.message_path(), &json!({ "sender_id": "ada", "body": "edited" }))
}

fn delete(chat: &Chat) -> Request {
    Request::delete(chat.message_path(), &json!({ "sender_id": "ada" }))
}

fn is_delivered(delivery: &Value) -> bool {
    delivery["outcome"] == "delivered"
}

/// Waits until every event of the chat has had this number of attempts.
async fn until_attempted(chat: &Chat, attempts: u64) -> Vec<Value> {
    chat.until_deliveries(|delivery| delivery["attempts"] == attempts).await
}

/// Returns the conversation from the list of `ada`, without the unread count.
async fn of_ada(chat: &Chat) -> Value {
    let mut conversation = chat.conversations_of("ada").await[0].take();
    conversation.as_object_mut().unwrap().remove("unread_count");
    conversation
}

#[tokio::test]
async fn sending_editing_and_deleting_are_events_with_what_they_answer() {
    let mut chat = Chat::without_messages().await;
    let conversation = json!({ "kind": "order", "external_ref": "order 7", "participants": ["ada", "bob"] });
    let created = chat.call(Request::post("/v1/conversations", &conversation)).await.ok();
    chat.conversation = created["conversation"]["id"].as_str().unwrap().to_owned();
    let first = chat.send("bob", "hi").await;
    let receiver = Receiver::new().await;
    chat.webhook(&receiver.url).await;
    let message = json!({
        "sender_id": "ada", "receiver_id": "bob", "body": "Grüße \"💬\"\n", "message_type": "image",
        "media_url": "https://example.com/a.png?b=1", "reply_to": first["id"], "client_message_id": "c1",
        "metadata": { "n": 1.50 },
    });
    chat.message = chat.send_with(&message).await;
    let mut expected = vec![("message.created", chat.message.clone(), "created_at")];
    let mut conversations = vec![of_ada(&chat).await];
    for (kind, request, time) in
        [("message.updated", edit(&chat), "edited_at"), ("message.deleted", delete(&chat), "deleted_at")]
    {
        receiver.wait_for(expected.len()).await;
        expected.push((kind, chat.call(request).await.ok()["message"].take(), time));
        conversations.push(of_ada(&chat).await);
    }
    let arrived = receiver.wait_for(3).await;
    for ((received, (kind, message, time)), conversation) in arrived.iter().zip(expected).zip(conversations) {
        let event = received.json();
        Document::get().check_webhook(&event);
        assert_eq!(event["type"], kind);
        assert_eq!(event["timestamp"], message[time]);
        assert_eq!(event["data"], json!({ "message": message, "conversation": conversation }));
        assert_eq!(received.headers["content-type"], "application/json");
    }
    // A field that is null in all events would be compared with nothing.
    let data: Vec<_> = arrived.iter().map(|received| received.json()["data"].take()).collect();
    for object in ["message", "conversation"] {
        for field in data[0][object].as_object().unwrap().keys() {
            assert!(data.iter().any(|data| !data[object][field].is_null()), "{object}.{field}");
        }
    }
    let deliveries = chat.until_deliveries(is_delivered).await;
    for (delivery, received) in deliveries.iter().zip(&arrived) {
        assert_eq!((&delivery["event_id"], &delivery["attempts"]), (&json!(received.id), &json!(1)));
        assert_eq!(delivery["last_status"], 200);
    }
}

#[tokio::test]
async fn the_official_library_verifies_every_event() {
    let chat = Chat::without_messages().await;
    let receiver = Receiver::new().await;
    let endpoint = chat.webhook(&receiver.url).await;
    for body in ["hi", "Grüße 💬", "\u{2028}\"\\/\u{7f}"] {
        chat.send("ada", body).await;
    }
    let arrived = receiver.wait_for(3).await;
    let mut lines = Vec::new();
    let mut expected = Vec::new();
    for received in &arrived {
        lines.push(seen_by_javascript(received, &endpoint.secret));
        expected.push(received.json());
        lines.push(seen_by_javascript(received, &new_secret()));
        expected.push(json!("No matching signature found"));
    }
    assert_eq!(verify(&lines).await, expected);
}

fn seen_by_javascript(received: &Received, secret: &str) -> Value {
    let headers = received.headers.iter();
    let headers: Value = headers.map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
    json!({ "secret": secret, "headers": headers, "body": received.body })
}

/// Returns the output of verify.mjs.
async fn verify(lines: &[Value]) -> Vec<Value> {
    let lines: String = lines.iter().flat_map(|line| [line.to_string(), "\n".to_owned()]).collect();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("node");
    assert!(folder.join("node_modules").exists(), "standardwebhooks is not installed: run `make setup`");
    let mut node = Command::new("node")
        .arg("verify.mjs")
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    node.stdin.take().unwrap().write_all(lines.as_bytes()).await.unwrap();
    let output = node.wait_with_output().await.unwrap();
    String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[tokio::test]
async fn while_a_secret_rotates_both_sign() {
    let chat = Chat::without_messages().await;
    let receiver = Receiver::new().await;
    let endpoint = chat.webhook(&receiver.url).await;
    let next = new_secret();
    let rotate = "update tinychat.webhook_endpoints
        set previous_secret = secret, previous_secret_until = now() + $3 * interval '1 s', secret = $2
        where id = $1";
    chat.db.execute(rotate, &[&endpoint.id, &next, &60.0_f64]).await.unwrap();
    chat.send("ada", "one").await;
    let [both] = &receiver.wait_for(1).await[..] else { panic!("one event") };
    assert!(both.is_signed_by(&endpoint.secret) && both.is_signed_by(&next));
    assert_eq!(both.headers["webhook-signature"].to_str().unwrap().split(' ').count(), 2);

    let end = "update tinychat.webhook_endpoints set previous_secret_until = now() where id = $1";
    chat.db.execute(end, &[&endpoint.id]).await.unwrap();
    chat.send("ada", "two").await;
    let last = &receiver.wait_for(2).await[1];
    assert!(last.is_signed_by(&next) && !last.is_signed_by(&endpoint.secret));
}

#[tokio::test]
async fn each_endpoint_hears_what_it_wants_under_one_id() {
    let mut chat = Chat::without_messages().await;
    let [all, some, none] = [Receiver::new().await, Receiver::new().await, Receiver::new().await];
    chat.webhook(&all.url).await;
    chat.webhook_for(&some.url, &["message.deleted"]).await;
    let disabled = chat.webhook(&none.url).await;
    let disable = "update tinychat.webhook_endpoints set disabled_at = now() where id = $1";
    chat.db.execute(disable, &[&disabled.id]).await.unwrap();
    chat.message = chat.send("ada", "hi").await;
    chat.call(delete(&chat)).await.ok();
    assert_eq!(chat.until_deliveries(is_delivered).await.len(), 3);
    let [all, some, none] = [all.received(), some.received(), none.received()];
    assert_eq!((all.len(), some.len(), none.len()), (2, 1, 0));
    let deleted = all.iter().find(|received| received.json()["type"] == "message.deleted").unwrap();
    assert_eq!((&some[0].id, &some[0].body), (&deleted.id, &deleted.body));
}

#[tokio::test]
async fn other_tenants_hear_nothing() {
    let chat = Chat::new().await;
    let stranger = Chat::without_messages().await;
    let receiver = Receiver::new().await;
    stranger.webhook(&receiver.url).await;
    chat.call(edit(&chat)).await.ok();
    for request in [edit(&chat), delete(&chat)] {
        assert_eq!(stranger.call(request).await.status, 404);
    }
    chat.settle().await;
    stranger.settle().await;
    assert_eq!((receiver.received().len(), stranger.deliveries().await.len()), (0, 0));
}

#[tokio::test]
async fn what_changes_nothing_is_no_event() {
    let mut chat = Chat::without_messages().await;
    let receiver = Receiver::new().await;
    chat.webhook(&receiver.url).await;
    let once = json!({ "sender_id": "ada", "body": "once", "client_message_id": "c1" });
    chat.message = chat.send_with(&once).await;
    chat.send_with(&once).await;
    chat.call(delete(&chat)).await.ok();
    chat.call(delete(&chat)).await.ok();
    let send = Request::post(chat.path("messages"), &json!({ "sender_id": "ada", "body": "hi" }));
    for (request, status) in [
        (send.clone().without_field("body"), 400),
        (send.with_field("reply_to", "m_1"), 400),
        (edit(&chat), 404),
        (delete(&chat).with_field("sender_id", "bob"), 403),
    ] {
        assert_eq!(chat.call(request).await.status, status);
    }
    assert_eq!(chat.until_deliveries(is_delivered).await.len(), 2);
    let mut kinds: Vec<_> =
        receiver.received().iter().map(|received| received.json()["type"].to_string()).collect();
    kinds.sort();
    assert_eq!(kinds, [r#""message.created""#, r#""message.deleted""#]);
}

#[tokio::test]
async fn ten_deletions_at_once_are_one_event() {
    let chat = Chat::new().await;
    let receiver = Receiver::new().await;
    chat.webhook(&receiver.url).await;
    futures_util::future::join_all((0..10).map(|_| chat.call(delete(&chat)))).await;
    assert_eq!(chat.until_deliveries(is_delivered).await.len(), 1);
    assert_eq!(receiver.received().len(), 1);
}

#[tokio::test]
async fn what_fails_at_first_arrives_in_the_end_the_same_each_time() {
    const FAILURES: usize = 3;
    let chat = Chat::without_messages().await;
    let receiver = Receiver::replying(|attempt| match attempt {
        0 => Reply::Status(500),
        1 => Reply::Status(429),
        2 => Reply::Status(204 + 200),
        _ => Reply::Status(204),
    })
    .await;
    let endpoint = chat.webhook(&receiver.url).await;
    for body in ["one", "two", "three"] {
        chat.send("ada", body).await;
    }
    for attempts in 1..=FAILURES {
        receiver.wait_for(3 * attempts).await;
        until_attempted(&chat, attempts as u64).await;
        chat.make_due().await;
    }
    chat.until_deliveries(is_delivered).await;
    let arrived = receiver.received();
    assert_eq!(arrived.len(), 3 * (FAILURES + 1));
    for delivery in chat.deliveries().await {
        let attempts: Vec<_> =
            arrived.iter().filter(|received| delivery["event_id"] == received.id).collect();
        assert_eq!(attempts.len(), FAILURES + 1);
        for attempt in attempts {
            assert_eq!(json!(attempt.body), delivery["payload"]);
            assert!(attempt.is_signed_by(&endpoint.secret));
        }
    }
}

#[tokio::test]
async fn pauses_grow_until_an_event_is_given_up() {
    const PAUSES: [f64; 7] = [5.0, 30.0, 120.0, 600.0, 3_600.0, 21_600.0, 86_400.0];
    let chat = Chat::without_messages().await;
    let receiver = Receiver::replying(|_| Reply::Text(503, "busy".to_owned())).await;
    chat.webhook(&receiver.url).await;
    chat.send("ada", "hi").await;
    let pause = "select extract(epoch from next_attempt_at - last_attempt_at)::float8
        from tinychat.webhook_deliveries where event_id = $1::text::uuid";
    for (attempts, expected) in (1..).zip(PAUSES) {
        let delivery = until_attempted(&chat, attempts).await.remove(0);
        assert_eq!((&delivery["last_status"], &delivery["last_answer"]), (&json!(503), &json!("busy")));
        let id = delivery["event_id"].as_str().unwrap();
        let pause: f64 = chat.db.query_one(pause, &[&id]).await.unwrap().get(0);
        assert!((0.9 * expected..=1.1 * expected).contains(&pause), "{pause} s after {attempts}");
        chat.make_due().await;
    }
    let delivery = until_attempted(&chat, 8).await.remove(0);
    assert_eq!(delivery["outcome"], "dead");
    chat.make_due().await;
    until_claimed().await;
    assert_eq!((until_attempted(&chat, 8).await.len(), receiver.received().len()), (1, 8));
}

#[tokio::test]
async fn gone_turns_an_endpoint_off() {
    let chat = Chat::without_messages().await;
    let receiver = Receiver::replying(|_| Reply::Status(410)).await;
    chat.webhook(&receiver.url).await;
    chat.send("ada", "one").await;
    let delivery = until_attempted(&chat, 1).await.remove(0);
    assert_eq!(delivery["outcome"], "dead");
    let endpoint = &chat.endpoints().await[0];
    assert_ne!(endpoint["disabled_at"], Value::Null);
    assert_eq!(endpoint["disabled_reason"], "answered 410 Gone");
    chat.send("ada", "two").await;
    assert_eq!(chat.deliveries().await.len(), 1);
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let chat = Chat::without_messages().await;
    let elsewhere = Receiver::new().await;
    let to = elsewhere.url.clone();
    let receiver = Receiver::replying(move |_| Reply::Redirect(to.clone())).await;
    chat.webhook(&receiver.url).await;
    chat.send("ada", "hi").await;
    let delivery = until_attempted(&chat, 1).await.remove(0);
    assert_eq!((&delivery["last_status"], &delivery["outcome"]), (&json!(302), &Value::Null));
    assert!(elsewhere.received().is_empty());
}

#[tokio::test]
async fn of_an_endless_answer_4_kb_are_read() {
    let chat = Chat::without_messages().await;
    let receiver = Receiver::replying(|_| Reply::Flood).await;
    chat.webhook(&receiver.url).await;
    chat.send("ada", "hi").await;
    let delivery = chat.until_deliveries(is_delivered).await.remove(0);
    assert_eq!(delivery["last_answer"], "x".repeat(4096));
    assert!(delivery["last_latency_ms"].as_u64().unwrap() < 1_000);
}

#[tokio::test]
async fn an_answer_that_is_no_text_is_kept_as_far_as_it_goes() {
    let chat = Chat::without_messages().await;
    let receiver = Receiver::replying(|_| Reply::Text(200, "a\0b".to_owned())).await;
    chat.webhook(&receiver.url).await;
    chat.send("ada", "hi").await;
    let delivery = chat.until_deliveries(is_delivered).await.remove(0);
    assert_eq!(delivery["last_answer"], "a\u{fffd}b");
}

#[tokio::test]
async fn an_answer_may_take_some_seconds() {
    let chat = Chat::without_messages().await;
    let receiver = Receiver::replying(|_| Reply::Slow(4_000)).await;
    chat.webhook(&receiver.url).await;
    chat.send("ada", "hi").await;
    let delivery = chat.until_deliveries(is_delivered).await.remove(0);
    assert_eq!(delivery["attempts"], 1, "the first one was cut short, which is no failure");
    assert!(delivery["last_latency_ms"].as_u64() >= Some(4_000));
    let arrived = receiver.received();
    assert_eq!((arrived.len(), &arrived[0].id), (2, &arrived[1].id));
}

#[tokio::test]
async fn an_endpoint_that_hangs_delays_neither_sends_nor_the_other_endpoint() {
    let chat = Chat::without_messages().await;
    let [hangs, takes] = [Receiver::replying(|_| Reply::Hang).await, Receiver::new().await];
    chat.webhook(&hangs.url).await;
    let endpoint = chat.webhook(&takes.url).await;
    chat.send("ada", "warm up").await;
    for number in 1..=2 {
        let began = Instant::now();
        chat.send("ada", &number.to_string()).await;
        assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
        takes.wait_for(number + 1).await;
        assert!(began.elapsed() < Duration::from_millis(1_500), "{:?}", began.elapsed());
    }
    let deliveries = chat.until_deliveries(|delivery| delivery["attempts"].as_u64() > Some(0)).await;
    for delivery in deliveries.iter().filter(|delivery| delivery["endpoint_id"] != json!(endpoint.id)) {
        assert_eq!((&delivery["last_status"], &delivery["outcome"]), (&Value::Null, &Value::Null));
        assert_eq!(delivery["last_answer"], "no response in 5 s");
        let latency = delivery["last_latency_ms"].as_u64().unwrap();
        assert!((4_900..6_000).contains(&latency), "{latency}");
    }
}

#[tokio::test]
async fn an_endpoint_that_keeps_failing_is_on_hold_until_it_takes_an_event() {
    let chat = Chat::without_messages().await;
    let receiver = Receiver::replying(|attempt| Reply::Status(if attempt < 2 { 500 } else { 200 })).await;
    chat.webhook(&receiver.url).await;
    for number in 1..=10 {
        chat.send("ada", &number.to_string()).await;
        until_attempted(&chat, 1).await;
    }
    let held = |endpoint: &Value| endpoint["held_until"] != Value::Null;
    assert!(held(&chat.endpoints().await[0]));
    chat.send("ada", "waits").await;
    chat.settle().await;
    until_claimed().await;
    let attempts = async || {
        chat.until_deliveries(|delivery| delivery["claimed"] == false).await;
        receiver.received().len()
    };
    assert_eq!(attempts().await, 10, "an endpoint on hold gets no attempt");

    chat.make_due().await;
    receiver.wait_for(11).await;
    until_claimed().await;
    assert_eq!(attempts().await, 11, "a single event shows that it still fails");
    assert!(held(&chat.endpoints().await[0]));

    let deadline = Instant::now() + TIMEOUT;
    while chat.deliveries().await.iter().any(|delivery| !is_delivered(delivery)) {
        assert!(Instant::now() < deadline);
        chat.make_due().await;
        sleep(Duration::from_millis(50)).await;
    }
    let endpoint = &chat.endpoints().await[0];
    assert_eq!((&endpoint["failures"], held(endpoint)), (&json!(0), false));
}

/// Sends an event to this URL with the settings of a deployment, which allow no private addresses. Returns the delivery.
async fn deployed(process: &mut Function, chat: &Chat, url: &str) -> Value {
    chat.webhook(url).await;
    let before = chat.deliveries().await.len();
    let send = Request::post(chat.path("messages"), &json!({ "sender_id": "ada", "body": "hi" }));
    assert_eq!(process.call(event_of("send-message", chat, &send)).await.0, 200);
    let deadline = Instant::now() + TIMEOUT;
    loop {
        let mut new = chat.deliveries().await.split_off(before);
        if new.iter().all(|delivery| delivery["attempts"] == 1) {
            let remove = "delete from tinychat.webhook_endpoints where tenant_id = $1";
            chat.db.execute(remove, &[&chat.tenant]).await.unwrap();
            return new.remove(0);
        }
        assert!(Instant::now() < deadline, "{url}: {new:?}");
        sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_deployment_sends_nothing_to_addresses_that_are_not_public() {
    let chat = Chat::without_messages().await;
    let bait = TcpListener::bind("0.0.0.0:0").await.unwrap();
    let port = bait.local_addr().unwrap().port();
    let mut process = Function::start("send-message", &[("WEBHOOK_ALLOW_PRIVATE", "")]).await;
    for host in [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "127.0.0.1.",
        "0.0.0.0",
        "0",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.0.1",
        "100.64.0.1",
        "169.254.169.254",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "198.18.0.1",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "[fd00:ec2::254]",
        "[fe80::1]",
        "[ff02::1]",
        "localhost",
        "LOCALHOST",
    ] {
        let delivery = deployed(&mut process, &chat, &format!("https://{host}:{port}/")).await;
        assert_eq!(delivery["last_status"], Value::Null, "{host}");
        let response = delivery["last_answer"].as_str().unwrap();
        assert!(response.ends_with("refused: not a public address"), "{host}: {response}");
    }
    let caught = tokio::time::timeout(Duration::from_millis(50), bait.accept()).await;
    assert!(caught.is_err(), "someone has connected");
}

#[tokio::test]
async fn a_deployment_sends_nothing_without_tls_or_with_a_password() {
    let chat = Chat::without_messages().await;
    let mut process = Function::start("send-message", &[("WEBHOOK_ALLOW_PRIVATE", "")]).await;
    for (url, response) in [
        ("http://example.com/", "refused: not https"),
        ("https://ada:secret@example.com/", "refused: a user in the URL"),
        ("https://", "refused: not a URL"),
    ] {
        let delivery = deployed(&mut process, &chat, url).await;
        assert_eq!((&delivery["last_status"], &delivery["last_answer"]), (&Value::Null, &json!(response)));
    }
}
