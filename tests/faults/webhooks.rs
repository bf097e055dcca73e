//! Webhooks when functions are killed, endpoints hang and backlogs are long.

use crate::broadcasts::{TOLERANCE, median, sends_at_a_steady_rate};
use crate::cloud::{during, kill, peak_memory, superuser};
use crate::wire::{Cut, Wire};
use futures_util::future::{join, join_all};
use serde_json::{Value, json};
use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use support::lambda::event_of;
use support::receiver::{Endpoint, Received};
use support::{Chat, Function, Receiver, Reply, Request, TIMEOUT, setting};
use tokio::time::{Instant, sleep, timeout};
use tokio_postgres::IsolationLevel;

/// A time that is longer than the lease of a function's own attempt.
const LEASE: Duration = Duration::from_secs(12);

/// Disables all endpoints.
async fn disable_all(chat: &Chat) {
    // Locks them in the same order as the recording of attempts does.
    let sql = "with e as (select id from tinychat.webhook_endpoints order by id for update)
        update tinychat.webhook_endpoints w set disabled_at = now() from e where w.id = e.id";
    chat.db.execute(sql, &[]).await.unwrap();
}

/// Starts a deliver-webhooks process for the test.
async fn deliverer() -> Function {
    Function::start("deliver-webhooks", &[("WEBHOOK_RETENTION_DAYS", "30")]).await
}

/// Counts the arrivals of each event.
fn arrivals(received: &[Received]) -> HashMap<&str, usize> {
    let mut arrivals = HashMap::new();
    for received in received {
        *arrivals.entry(received.id.as_str()).or_default() += 1;
    }
    arrivals
}

#[tokio::test]
async fn functions_killed_right_after_their_responses_lose_none_of_500_events() {
    const EVENTS: usize = 500;
    let chat = Chat::without_messages().await;
    let receiver = Receiver::new().await;
    let endpoint = chat.webhook(&receiver.url).await;
    let sent: BTreeSet<_> = during(json!({ "functions": { "kill_after_response": true } }), async {
        let client = async |client: usize| {
            let mut ids = Vec::new();
            for number in 0..EVENTS / 10 {
                let message = chat.send("ada", &format!("{client}/{number}")).await;
                ids.push(message["id"].as_str().unwrap().to_owned());
            }
            ids
        };
        join_all((0..10).map(client)).await.into_iter().flatten().collect()
    })
    .await;
    assert_eq!(sent.len(), EVENTS);
    let survivors = chat.delivered(&endpoint).await;
    assert!(survivors < EVENTS, "no function was killed before its first attempt");
    chat.until_delivered(&endpoint, EVENTS, LEASE + Duration::from_secs(20)).await;
    let arrived = receiver.received();
    let message_of =
        |received: &Received| received.json()["data"]["message"]["id"].as_str().unwrap().to_owned();
    assert_eq!(arrived.iter().map(message_of).collect::<BTreeSet<_>>(), sent);
    assert_eq!(arrivals(&arrived).len(), EVENTS, "each message must have one webhook-id");
}

#[tokio::test]
async fn concurrent_deliverers_send_each_event_once() {
    const EVENTS: usize = 400;
    let chat = Chat::without_messages().await;
    let receivers = join_all((0..4).map(|_| Receiver::replying(|_| Reply::Slow(20)))).await;
    let endpoints = join_all(receivers.iter().map(|receiver| chat.webhook(&receiver.url))).await;
    for endpoint in &endpoints {
        chat.backlog(endpoint, EVENTS).await;
    }
    // The local cloud has a third one. Each ends when it finds no event, and is started again.
    let deliver = async || {
        let mut function = deliverer().await;
        loop {
            function.invoke(json!({})).await.unwrap();
        }
    };
    let work = async {
        for endpoint in &endpoints {
            chat.until_delivered(endpoint, EVENTS, Duration::from_secs(14)).await;
        }
    };
    tokio::select! {
        () = work => {}
        _ = join(deliver(), deliver()) => {}
    }
    for (receiver, endpoint) in receivers.iter().zip(&endpoints) {
        let arrived = receiver.received();
        assert_eq!((arrived.len(), arrivals(&arrived).len()), (EVENTS, EVENTS));
        chat.disable(endpoint).await;
    }
}

#[tokio::test]
async fn a_deliverer_without_due_events_ends_at_once() {
    let chat = Chat::without_messages().await;
    disable_all(&chat).await;
    let receiver = Receiver::new().await;
    let endpoint = chat.webhook(&receiver.url).await;
    chat.backlog(&endpoint, 3).await;
    let mut deliverer = deliverer().await;
    let ended = timeout(Duration::from_secs(5), deliverer.invoke(json!({}))).await;
    assert!(ended.expect("the deliverer must end").is_ok());
    chat.until_delivered(&endpoint, 3, LEASE).await;
}

#[tokio::test]
async fn the_event_of_a_killed_deliverer_is_delivered_when_its_lease_expires() {
    let chat = Chat::without_messages().await;
    let receiver =
        Receiver::replying(|attempt| if attempt == 0 { Reply::Hang } else { Reply::Status(200) }).await;
    let endpoint = chat.webhook(&receiver.url).await;
    let leased = "select count(*) from tinychat.webhook_deliveries
        where endpoint_id = $1 and next_attempt_at > now() + interval '15 s'";
    chat.backlog(&endpoint, 1).await;
    receiver.wait_for(1).await;
    let leased: i64 = chat.db.query_one(leased, &[&endpoint.id]).await.unwrap().get(0);
    assert_eq!(leased, 1);
    kill("deliver-webhooks");
    chat.make_due().await; // the lease expires
    chat.until_delivered(&endpoint, 1, Duration::from_secs(10)).await;
    assert_eq!(receiver.received().len(), 2);
    chat.disable(&endpoint).await;
}

#[tokio::test]
async fn a_hundred_thousand_events_of_one_tenant_leave_anothers_under_two_seconds() {
    const LIMIT: Duration = Duration::from_secs(2);
    let crowd = Chat::without_messages().await;
    let slow = Receiver::replying(|_| Reply::Slow(50)).await;
    let crowded = crowd.webhook(&slow.url).await;
    crowd.backlog(&crowded, 100_000).await;
    slow.wait_for(20).await;

    let chat = Chat::without_messages().await;
    let receiver = Receiver::replying(|attempt| Reply::Status(if attempt == 0 { 500 } else { 200 })).await;
    let endpoint = chat.webhook(&receiver.url).await;
    for number in 0..5 {
        let began = Instant::now();
        chat.send("ada", "hi").await;
        receiver.wait_for(2 * number + 1).await;
        assert!(began.elapsed() < LIMIT, "the first attempt took {:?}", began.elapsed());
        chat.until_deliveries(|delivery| delivery["attempts"].as_u64() > Some(0)).await;
        chat.make_due().await;
        let due = Instant::now();
        chat.until_delivered(&endpoint, number + 1, LIMIT).await;
        println!("a due retry arrived after {:?}", due.elapsed());
    }
    assert!(crowd.delivered(&crowded).await < 90_000, "the backlog must still exist");
    crowd.disable(&crowded).await;
}

#[tokio::test]
async fn endpoints_that_hang_do_not_delay_those_of_other_tenants() {
    let hangs = Receiver::replying(|_| Reply::Hang).await;
    let crowd = join_all((0..20).map(|_| async {
        let chat = Chat::without_messages().await;
        let endpoint = chat.webhook(&hangs.url).await;
        chat.backlog(&endpoint, 50).await;
        (chat, endpoint)
    }))
    .await;
    hangs.wait_for(20).await;
    let chat = Chat::without_messages().await;
    let receiver = Receiver::new().await;
    let endpoint = chat.webhook(&receiver.url).await;
    for number in 1..=4 {
        chat.backlog(&endpoint, 25).await;
        chat.until_delivered(&endpoint, 25 * number, Duration::from_secs(2)).await;
        sleep(Duration::from_millis(500)).await;
    }
    for (chat, endpoint) in crowd {
        chat.disable(&endpoint).await;
    }
}

#[tokio::test]
async fn a_message_whose_event_cannot_be_stored_is_not_stored_either() {
    let mut chat = Chat::new().await;
    let receiver = Receiver::new().await;
    let endpoint = chat.webhook(&receiver.url).await;
    let name = format!("broken_{}", endpoint.id.simple());
    let break_it = format!(
        "create function tinychat.{name}() returns trigger language plpgsql as
            $$ begin raise 'no events'; end $$;
        create trigger {name} before insert on tinychat.webhook_deliveries for each row
            when (new.endpoint_id = '{}') execute function tinychat.{name}()",
        endpoint.id
    );
    chat.db.batch_execute(&break_it).await.unwrap();
    let ada = json!({ "sender_id": "ada", "body": "hi" });
    for request in [
        Request::post(chat.path("messages"), &ada),
        Request::patch(chat.message_path(), &ada),
        Request::delete(chat.message_path(), &ada),
    ] {
        chat.refuses(request, 500, "database unavailable").await;
    }
    chat.db.batch_execute(&format!("drop function tinychat.{name} cascade")).await.unwrap();
    chat.message = chat.send("ada", "hi").await;
    chat.until_delivered(&endpoint, 1, Duration::from_secs(5)).await;
    chat.disable(&endpoint).await;
}

#[tokio::test]
async fn a_statement_that_runs_twice_writes_one_event() {
    for cut in [Cut::BeforeExecution, Cut::AfterCommit] {
        let mut chat = Chat::without_messages().await;
        let receiver = Receiver::new().await;
        let all = ["message.created", "message.updated", "conversation.updated", "message.deleted"];
        let endpoint = chat.webhook_for(&receiver.url, &all).await;
        chat.add_secret_key(&chat.secret_key()).await;
        let path = format!("/v1/conversations/{}", chat.conversation);
        let wire = Wire::new().await;
        let ada = json!({ "sender_id": "ada", "body": "hi" });
        for function in ["send-message", "edit-message", "update-conversation", "delete-message"] {
            let request = match function {
                "send-message" => Request::post(chat.path("messages"), &ada),
                "edit-message" => Request::patch(chat.message_path(), &ada),
                "update-conversation" => {
                    Request::patch(&path, &json!({ "status": "closed" })).with_secret_key()
                }
                _ => Request::delete(chat.message_path(), &ada),
            };
            let mut process = Function::start(function, &[("DATABASE_URL", &wire.database_url)]).await;
            let unknown = Request::post("/v1/", &json!({})).with_key("pk_test_000000000000000000000000");
            assert_eq!(process.call(event_of(function, &chat, &unknown)).await.0, 401);
            wire.cut(cut);
            let (status, response) = process.call(event_of(function, &chat, &request)).await;
            assert_eq!(status, 200, "{function} with {cut:?}: {response}");
            let changed = if function == "update-conversation" { "conversation" } else { "message" };
            if changed == "message" {
                chat.message = response["message"].clone();
            }
            let count = receiver.received().len() + 1;
            let events = chat.until_deliveries(|delivery| delivery["outcome"] == "delivered").await;
            assert_eq!(
                (events.len(), receiver.wait_for(count).await.len()),
                (count, count),
                "{function} {cut:?}"
            );
            assert_eq!(receiver.received()[count - 1].json()["data"][changed], response[changed]);
        }
        chat.disable(&endpoint).await;
    }
}

#[tokio::test]
async fn a_send_with_a_webhook_takes_one_round_trip_before_its_response() {
    let chat = Chat::without_messages().await;
    let receiver = Receiver::replying(|_| Reply::Slow(500)).await;
    let endpoint = chat.webhook(&receiver.url).await;
    let wire = Wire::new().await;
    let mut process = Function::start("send-message", &[("DATABASE_URL", &wire.database_url)]).await;
    let send = Request::post(chat.path("messages"), &json!({ "sender_id": "ada", "body": "hi" }));
    for first in [true, false, false] {
        assert_eq!(process.call(event_of("send-message", &chat, &send)).await.0, 200);
        wire.wait_until_quiet().await; // the receiver takes longer
        // The start makes one round trip. After the first response there is one to record the use, and one for the counts.
        let others = if first { 3 } else { 0 };
        assert_eq!(wire.count().round_trips, others + 1, "before the attempt is recorded");
        chat.until_deliveries(|delivery| delivery["outcome"] == "delivered").await;
        assert_eq!(wire.count().round_trips, 1, "to record the attempt");
    }
    chat.disable(&endpoint).await;
}

#[tokio::test]
async fn old_events_are_purged() {
    let chat = Chat::without_messages().await;
    let receiver = Receiver::new().await;
    let endpoint = chat.webhook(&receiver.url).await;
    for body in ["old", "new"] {
        chat.send("ada", body).await;
    }
    chat.until_delivered(&endpoint, 2, Duration::from_secs(5)).await;
    let age = "update tinychat.webhook_deliveries set settled_at = settled_at - interval '31 days'
        where endpoint_id = $1 and payload like '%old%'";
    assert_eq!(chat.db.execute(age, &[&endpoint.id]).await.unwrap(), 1);
    disable_all(&chat).await; // events of other tests would keep the deliverer busy
    deliverer().await.invoke(json!({})).await.unwrap();
    assert_eq!(chat.deliveries().await.len(), 1);
    let left = chat.deliveries().await.remove(0)["payload"].take();
    assert!(left.as_str().unwrap().contains("new"));
    chat.disable(&endpoint).await;
}

#[tokio::test]
async fn no_log_has_a_secret_or_an_address_in_it() {
    let chat = Chat::without_messages().await;
    let receiver = Receiver::replying(|_| Reply::Text(500, "no".to_owned())).await;
    let mut secrets = vec!["t0ken".to_owned()];
    let nowhere = "http://user:passw0rd@127.0.0.1:1/t0ken";
    let mut endpoints = Vec::new();
    for url in [receiver.url.as_str(), nowhere, "http://t0ken.invalid/", "http://"] {
        let endpoint = chat.webhook(url).await;
        secrets.push(endpoint.secret.trim_start_matches("whsec_").to_owned());
        endpoints.push(endpoint);
    }
    secrets.push("passw0rd".to_owned());
    for _ in 0..2 {
        chat.send("ada", "hi").await;
    }
    for attempts in [1, 2] {
        chat.until_deliveries(|delivery| delivery["attempts"].as_u64() >= Some(attempts)).await;
        chat.make_due().await;
    }
    let responses = chat.deliveries().await;
    for endpoint in &endpoints {
        chat.disable(endpoint).await;
    }
    let logs = std::fs::read_dir(Path::new(&setting("DATA_DIR")).join("logs")).unwrap();
    let logs =
        logs.map(|log| String::from_utf8_lossy(&std::fs::read(log.unwrap().path()).unwrap()).into_owned());
    let texts = logs.chain(responses.iter().map(|delivery| delivery["last_answer"].to_string()));
    assert!(responses.iter().all(|delivery| delivery["last_answer"].is_string()), "{responses:?}");
    for text in texts {
        for secret in &secrets {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
    }
}

#[tokio::test]
async fn sends_and_deliverers_never_deadlock_at_endpoints_that_fail_half_of_the_time() {
    const TIME: Duration = Duration::from_secs(15);
    let chat = Chat::without_messages().await;
    let count = Arc::new(AtomicUsize::new(0));
    let half = move |_| {
        Reply::Status(if count.fetch_add(1, Ordering::Relaxed).is_multiple_of(2) { 500 } else { 200 })
    };
    let receiver = Receiver::replying(half).await;
    let endpoints = join_all((0..3).map(|_| chat.webhook(&receiver.url))).await;
    let deadlocks = async || -> i64 {
        sleep(Duration::from_millis(1_500)).await; // backends report their counts once a second
        let sql = "select deadlocks from pg_stat_database where datname = current_database()";
        superuser().await.query_one(sql, &[]).await.unwrap().get(0)
    };
    let before = deadlocks().await;
    let end = Instant::now() + TIME;
    let client = async |client: usize| {
        let mut sent = 0;
        while Instant::now() < end {
            let message = json!({ "sender_id": format!("client {client}"), "body": sent.to_string() });
            let response = chat.call(Request::post(chat.path("messages"), &message)).await;
            sent += usize::from(response.status == 200);
        }
        sent
    };
    let sent: usize = join_all((0..6).map(client)).await.into_iter().sum();
    assert!(sent > 100, "only {sent} messages were sent");
    assert_eq!(deadlocks().await - before, 0, "deadlocks while {sent} messages were sent");
    for endpoint in &endpoints {
        chat.disable(endpoint).await;
    }
}

#[tokio::test]
async fn a_receiver_that_answers_late_keeps_no_environment_and_hears_everything() {
    let chat = Chat::without_messages().await;
    let receiver = Receiver::replying(|_| Reply::Slow(4_500)).await;
    let endpoint = chat.webhook(&receiver.url).await;
    let mut process = Function::start("send-message", &[]).await;
    let send = Request::post(chat.path("messages"), &json!({ "sender_id": "ada", "body": "hi" }));
    let mut took = Vec::new();
    for _ in 0..6 {
        let began = Instant::now();
        assert_eq!(process.call(event_of("send-message", &chat, &send)).await.0, 200);
        took.push(began.elapsed());
    }
    println!("{took:?}");
    for took in &took[1..4] {
        assert!(
            *took < Duration::from_millis(1_500),
            "an attempt after the response delayed the next request by {took:?}"
        );
    }
    for took in &took[4..] {
        assert!(
            *took < Duration::from_millis(500),
            "only deliver-webhooks must serve a slow endpoint: {took:?}"
        );
    }
    chat.until_delivered(&endpoint, 6, Duration::from_secs(40)).await;
    let arrived = receiver.received();
    let most = arrivals(&arrived).into_values().max();
    assert!(most <= Some(2), "an attempt that was cut short must be repeated once: {most:?}");
    for delivery in chat.deliveries().await {
        assert_eq!((&delivery["attempts"], &delivery["last_status"]), (&json!(1), &json!(200)));
        assert!(delivery["last_latency_ms"].as_u64() >= Some(4_500));
    }
    chat.disable(&endpoint).await;
}

#[tokio::test]
async fn a_receiver_that_answers_late_takes_no_environments_from_other_tenants() {
    let (crowd, chat) = (Chat::without_messages().await, Chat::without_messages().await);
    let late = Arc::new(AtomicBool::new(false));
    let is_late = late.clone();
    let receiver =
        Receiver::replying(move |_| Reply::Slow(if is_late.load(Ordering::Relaxed) { 4_500 } else { 0 }))
            .await;
    let endpoint = crowd.webhook(&receiver.url).await;
    let load = async || {
        let (_, times) = join(sends_at_a_steady_rate(&crowd), sends_at_a_steady_rate(&chat)).await;
        median(times)
    };
    let healthy = load().await;
    late.store(true, Ordering::Relaxed);
    let sick = load().await;
    println!("20 sends per second beside 20 of another tenant: {healthy:?}; with a late receiver {sick:?}");
    crowd.disable(&endpoint).await;
    assert!(sick < healthy * 3 / 2 + TOLERANCE, "a late receiver increases {healthy:?} to {sick:?}");
}

#[tokio::test]
async fn a_slow_endpoint_that_has_become_fast_gets_first_attempts_again() {
    let chat = Chat::without_messages().await;
    let late = Arc::new(AtomicBool::new(true));
    let is_late = late.clone();
    let receiver =
        Receiver::replying(move |_| Reply::Slow(if is_late.load(Ordering::Relaxed) { 1_200 } else { 0 }))
            .await;
    let endpoint = chat.webhook(&receiver.url).await;
    for number in 1..=4 {
        chat.send("ada", "slow").await;
        chat.until_delivered(&endpoint, number, Duration::from_secs(15)).await;
    }
    late.store(false, Ordering::Relaxed);
    chat.backlog(&endpoint, 60).await;
    chat.until_delivered(&endpoint, 64, Duration::from_secs(15)).await;
    kill("deliver-webhooks");
    let before = receiver.received().len();
    let began = Instant::now();
    let mut process = Function::start("send-message", &[]).await;
    let send = Request::post(chat.path("messages"), &json!({ "sender_id": "ada", "body": "hi" }));
    assert_eq!(process.call(event_of("send-message", &chat, &send)).await.0, 200);
    receiver.wait_for(before + 1).await;
    let delivery = chat.deliveries().await.pop().unwrap();
    println!("after {:?}: {delivery}", began.elapsed());
    assert_eq!(delivery["claimed"], json!(false), "the sending function must make the attempt");
    chat.disable(&endpoint).await;
}

/// Adds an event of a given age to the outbox, due in an hour.
async fn add_aged(chat: &Chat, endpoint: &Endpoint, age: &str, attempts: i32) {
    let sql = r#"insert into tinychat.webhook_deliveries
            (endpoint_id, event_id, type, payload, attempts, queued_at, created_at, next_attempt_at)
        select $1, gen_random_uuid(), 'message.created', '{"type":"message.created"}', $3, at, at, now() + interval '1 h'
        from (select now() - $2::text::interval) t (at)"#;
    chat.db.execute(sql, &[&endpoint.id, &age, &attempts]).await.unwrap();
}

#[tokio::test]
async fn events_are_given_up_after_three_days_even_at_disabled_endpoints() {
    let chat = Chat::without_messages().await;
    disable_all(&chat).await; // events of other tests would keep the deliverer busy
    let receiver = Receiver::new().await;
    let [enabled, disabled] = [chat.webhook(&receiver.url).await, chat.webhook(&receiver.url).await];
    chat.disable(&disabled).await;
    for endpoint in [&enabled, &disabled] {
        for age in ["71 h", "73 h"] {
            add_aged(&chat, endpoint, age, 1).await;
        }
    }
    deliverer().await.invoke(json!({})).await.unwrap();
    let outcomes =
        "select outcome, queued_at < now() - interval '72 h', last_answer from tinychat.webhook_deliveries
        where endpoint_id = any ($1) order by queued_at";
    let rows = chat.db.query(outcomes, &[&vec![enabled.id, disabled.id]]).await.unwrap();
    let outcomes: Vec<(Option<String>, bool)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    let dead = (Some("dead".to_owned()), true);
    assert_eq!(outcomes, [dead.clone(), dead, (None, false), (None, false)]);
    assert_eq!(rows[0].get::<_, Option<&str>>(2), Some("given up after three days"));
    chat.disable(&enabled).await;
}

/// Invokes a deliverer once. Returns the line of its metrics.
async fn metrics() -> Value {
    let mut deliverer = deliverer().await;
    deliverer.invoke(json!({})).await.unwrap();
    serde_json::from_str(&deliverer.log_line("webhook_backlog_age").await).unwrap()
}

#[tokio::test]
async fn the_age_of_the_backlog_is_that_of_its_oldest_event() {
    let chat = Chat::without_messages().await;
    disable_all(&chat).await;
    let receiver = Receiver::new().await;
    let endpoint = chat.webhook(&receiver.url).await;
    add_aged(&chat, &endpoint, "2 h", 5).await;
    let age = metrics().await["webhook_backlog_age"].as_f64().unwrap();
    assert!((7_200.0..7_260.0).contains(&age), "{age}");
    chat.disable(&endpoint).await;
    assert_eq!(
        metrics().await["webhook_backlog_age"],
        json!(0.0),
        "events of a disabled endpoint must not count"
    );
}

#[tokio::test]
async fn an_endpoint_that_has_failed_for_five_days_is_disabled_and_that_is_logged() {
    let chat = Chat::without_messages().await;
    let receiver = Receiver::replying(|_| Reply::Status(500)).await;
    let endpoint = chat.webhook(&receiver.url).await;
    chat.backlog(&endpoint, 12).await;
    let age = "update tinychat.webhook_endpoints
        set failing_since = failing_since - $2::text::interval, held_until = null where id = $1 and failures >= 10";
    let add_age = async |interval: &str| {
        let deadline = Instant::now() + TIMEOUT;
        while chat.db.execute(age, &[&endpoint.id, &interval]).await.unwrap() == 0 {
            assert!(Instant::now() < deadline, "the endpoint must be on hold");
            sleep(Duration::from_millis(50)).await;
        }
    };
    add_age("119 h").await;
    let disabled = async || chat.endpoints().await[0]["disabled_reason"].clone();
    let attempts = receiver.received().len();
    chat.make_due().await;
    receiver.wait_for(attempts + 1).await;
    chat.until_deliveries(|delivery| delivery["claimed"] == false).await;
    assert_eq!(disabled().await, Value::Null, "the endpoint must not be disabled after 119 hours");

    let log = |name: &str| {
        let log = Path::new(&setting("DATA_DIR")).join(format!("logs/{name}.log"));
        let log = std::fs::read_to_string(log).unwrap();
        let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.filter_map(|line| line["webhook_endpoints_disabled"].as_u64()).sum::<u64>()
    };
    let before = log("deliver-webhooks");
    add_age("2 h").await;
    chat.make_due().await;
    // An invocation logs its figures when it ends, which other tests' events can delay for almost a minute.
    let deadline = Instant::now() + Duration::from_secs(90);
    while disabled().await != json!("failed for five days") || log("deliver-webhooks") == before {
        assert!(Instant::now() < deadline, "{} {}", disabled().await, log("deliver-webhooks"));
        sleep(Duration::from_millis(100)).await;
    }
    let events = chat.deliveries().await.len();
    chat.send("ada", "hi").await;
    assert_eq!(chat.deliveries().await.len(), events);
}

#[tokio::test]
async fn a_deliverer_holds_a_few_megabytes_of_payloads_however_many_wait() {
    const TENANTS: usize = 8;
    let receiver = Receiver::replying(|_| Reply::Slow(20)).await;
    let crowd = join_all((0..TENANTS).map(|_| async {
        let chat = Chat::without_messages().await;
        let endpoints = join_all((0..4).map(|_| chat.webhook(&receiver.url))).await;
        (chat, endpoints)
    }))
    .await;
    kill("deliver-webhooks"); // the next process starts with little memory
    let fill =
        "insert into tinychat.webhook_deliveries (endpoint_id, event_id, type, payload, next_attempt_at)
        select w.id, gen_random_uuid(), 'message.created', repeat('x', 260000), now()
        from tinychat.webhook_endpoints w, generate_series(1, 20) where w.tenant_id = any ($1)";
    let tenants: Vec<_> = crowd.iter().map(|(chat, _)| chat.tenant).collect();
    crowd[0].0.db.execute(fill, &[&tenants]).await.unwrap();
    let began = Instant::now();
    for (chat, endpoints) in &crowd {
        for endpoint in endpoints {
            chat.until_delivered(endpoint, 20, Duration::from_mins(1)).await;
        }
    }
    let peak = peak_memory("deliver-webhooks");
    println!("{peak} KB, {:?}", began.elapsed());
    assert!(peak < 60_000, "{peak} KB");
    for (chat, endpoints) in &crowd {
        for endpoint in endpoints {
            chat.disable(endpoint).await;
        }
    }
}

#[tokio::test]
async fn an_attempt_in_which_the_deliverer_is_killed_counts_and_the_pauses_grow() {
    let chat = Chat::without_messages().await;
    let receiver = Receiver::replying(|_| Reply::Hang).await;
    let endpoint = chat.webhook(&receiver.url).await;
    chat.backlog(&endpoint, 1).await;
    receiver.wait_for(1).await;
    kill("deliver-webhooks");
    let lease_ends = "update tinychat.webhook_deliveries set next_attempt_at = now() where endpoint_id = $1";
    let lease = "select extract(epoch from next_attempt_at - now())::float8 from tinychat.webhook_deliveries
        where endpoint_id = $1";
    for (attempt, seconds) in [(2, 20.0), (3, 30.0), (4, 120.0), (5, 600.0)] {
        chat.db.execute(lease_ends, &[&endpoint.id]).await.unwrap();
        receiver.wait_for(attempt).await;
        kill("deliver-webhooks");
        let delivery = chat.deliveries().await.remove(0);
        assert_eq!(delivery["attempts"], json!(attempt - 1));
        let lease: f64 = chat.db.query_one(lease, &[&endpoint.id]).await.unwrap().get(0);
        assert!((seconds - 5.0..=seconds * 1.5).contains(&lease), "{lease} s in attempt {attempt}");
    }
    chat.disable(&endpoint).await;
}

#[tokio::test]
async fn an_outcome_that_cannot_be_recorded_does_not_block_others() {
    let chat = Chat::without_messages().await;
    let receiver = Receiver::new().await;
    let [bad, good] = [chat.webhook(&receiver.url).await, chat.webhook(&receiver.url).await];
    let name = format!("broken_{}", bad.id.simple());
    let break_it = format!(
        "create function tinychat.{name}() returns trigger language plpgsql as
            $$ begin raise 'no outcomes'; end $$;
        create trigger {name} before update of outcome on tinychat.webhook_deliveries for each row
            when (new.endpoint_id = '{}' and new.outcome = 'delivered') execute function tinychat.{name}()",
        bad.id
    );
    chat.db.batch_execute(&break_it).await.unwrap();
    let mut deliverer = deliverer().await;
    for endpoint in [&bad, &good] {
        chat.backlog(endpoint, 40).await;
    }
    tokio::select! {
        () = chat.until_delivered(&good, 40, Duration::from_secs(10)) => {}
        outcome = deliverer.invoke(json!({})) => panic!("the deliverer ended: {outcome:?}"),
    }
    assert_eq!(chat.delivered(&bad).await, 0);
    chat.db.batch_execute(&format!("drop function tinychat.{name} cascade")).await.unwrap();
    chat.disable(&good).await;
    chat.disable(&bad).await;
}

#[tokio::test]
async fn a_row_that_cannot_be_purged_delays_no_delivery() {
    let chat = Chat::without_messages().await;
    let receiver = Receiver::new().await;
    let endpoint = chat.webhook(&receiver.url).await;
    chat.backlog(&endpoint, 2).await;
    chat.until_delivered(&endpoint, 2, Duration::from_secs(10)).await;
    let mut superuser = superuser().await;
    let transaction = superuser.transaction().await.unwrap();
    // This lock allows updates of the row, but no deletion.
    let lock = "select from tinychat.webhook_deliveries where endpoint_id = $1 for key share";
    transaction.execute(lock, &[&endpoint.id]).await.unwrap();
    let age = "update tinychat.webhook_deliveries set settled_at = settled_at - interval '31 days' where endpoint_id = $1";
    chat.db.execute(age, &[&endpoint.id]).await.unwrap();

    kill("deliver-webhooks"); // it may be busy; the test needs a new run
    let new = chat.webhook(&receiver.url).await;
    for number in 1..=3 {
        chat.backlog(&new, 1).await;
        chat.until_delivered(&new, number, Duration::from_secs(4)).await;
    }
    drop(transaction);
    chat.disable(&endpoint).await;
    chat.disable(&new).await;
}

#[tokio::test]
async fn claims_do_not_read_dead_rows_repeatedly() {
    const DELIVERED: i64 = 20_000;
    let mut chat = Chat::without_messages().await;
    disable_all(&chat).await;
    let receiver = Receiver::replying(|_| Reply::Slow(100)).await;
    let endpoint = chat.webhook(&receiver.url).await;
    let mut reader = superuser().await;
    let snapshot =
        reader.build_transaction().isolation_level(IsolationLevel::RepeatableRead).start().await.unwrap();
    snapshot.execute("select 1 from tinychat.tenants", &[]).await.unwrap();
    let fill =
        "insert into tinychat.webhook_deliveries (endpoint_id, event_id, type, payload, next_attempt_at)
        select $1, gen_random_uuid(), 'message.created', '{}', now() - interval '11 s' - n * interval '1 ms'
        from generate_series(1, $2::bigint) n";
    let settle = "update tinychat.webhook_deliveries set outcome = 'delivered', settled_at = now() where endpoint_id = $1";
    // One transaction, so that nothing is delivered before. A claim reads the last ten seconds of the index again.
    let filling = chat.db.transaction().await.unwrap();
    filling.execute(fill, &[&endpoint.id, &DELIVERED]).await.unwrap();
    filling.execute(settle, &[&endpoint.id]).await.unwrap();
    filling.commit().await.unwrap();
    let read = async || -> i64 {
        sleep(Duration::from_millis(1_500)).await;
        let sql =
            "select idx_tup_read from pg_stat_user_indexes where indexrelname = 'webhook_deliveries_due'";
        superuser().await.query_one(sql, &[]).await.unwrap().get(0)
    };
    let mut deliverer = deliverer().await;
    let before = read().await;
    chat.backlog(&endpoint, 200).await; // 4 at a time take about 5 s, and about 20 claims
    deliverer.invoke(json!({})).await.unwrap();
    chat.until_delivered(&endpoint, 200, Duration::from_secs(20)).await;
    let read = read().await - before;
    println!("{read} index entries read; {DELIVERED} events were delivered");
    assert!(read < 20 * DELIVERED, "{read} index entries read");
    drop(snapshot);
    chat.disable(&endpoint).await;
}
