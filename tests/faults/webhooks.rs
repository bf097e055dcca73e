//! Webhooks while functions die, endpoints hang, and backlogs stand in line.

use crate::cloud::{during, kill};
use crate::support::lambda::event_of;
use crate::support::receiver::{Endpoint, Received};
use crate::support::{Chat, Function, Receiver, Reply, Request, setting};
use crate::wire::{Cut, Wire};
use futures_util::future::{join, join_all};
use serde_json::json;
use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// Longer than a sender's lease.
const LEASE: Duration = Duration::from_secs(12);

impl Chat {
    /// Puts so many events for an endpoint into the outbox, all due.
    async fn backlog(&self, endpoint: &Endpoint, count: usize) {
        let sql = r#"insert into tinychat.webhook_deliveries (endpoint_id, event_id, type, payload, next_attempt_at)
            select $1, gen_random_uuid(), 'message.created', '{"type":"message.created"}', now()
            from generate_series(1, $2)"#;
        self.db.execute(sql, &[&endpoint.id, &i32::try_from(count).unwrap()]).await.unwrap();
    }

    /// How many of an endpoint's events were delivered.
    async fn delivered(&self, endpoint: &Endpoint) -> usize {
        let sql = "select count(*) from tinychat.webhook_deliveries
            where endpoint_id = $1 and outcome = 'delivered'";
        let count: i64 = self.db.query_one(sql, &[&endpoint.id]).await.unwrap().get(0);
        usize::try_from(count).unwrap()
    }

    /// Waits until so many were.
    async fn until_delivered(&self, endpoint: &Endpoint, count: usize, patience: Duration) {
        let deadline = Instant::now() + patience;
        while self.delivered(endpoint).await < count {
            assert!(Instant::now() < deadline, "{} of {count}", self.delivered(endpoint).await);
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Turns an endpoint off, so that what waits for it is in no later test's way.
    async fn retire(&self, endpoint: &Endpoint) {
        let sql = "update tinychat.webhook_endpoints set disabled_at = now() where id = $1";
        self.db.execute(sql, &[&endpoint.id]).await.unwrap();
    }
}

/// How often each event arrived.
fn tally(received: &[Received]) -> HashMap<&str, usize> {
    let mut tally = HashMap::new();
    for received in received {
        *tally.entry(received.id.as_str()).or_default() += 1;
    }
    tally
}

#[tokio::test]
async fn functions_killed_right_after_they_answered_lose_none_of_500_events() {
    const EVENTS: usize = 500;
    let chat = Chat::without_messages().await;
    let receiver = Receiver::new().await;
    let endpoint = chat.webhook(&receiver.url).await;
    let sent: BTreeSet<_> = during(json!({ "functions": { "kill_after_answer": true } }), async {
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
    assert!(survivors < EVENTS, "nobody was killed in time");
    chat.until_delivered(&endpoint, EVENTS, LEASE + Duration::from_secs(20)).await;
    let arrived = receiver.received();
    let message_of =
        |received: &Received| received.json()["data"]["message"]["id"].as_str().unwrap().to_owned();
    assert_eq!(arrived.iter().map(message_of).collect::<BTreeSet<_>>(), sent);
    assert_eq!(tally(&arrived).len(), EVENTS, "each message has one webhook-id");
}

#[tokio::test]
async fn deliverers_at_the_same_time_send_each_event_once() {
    const EVENTS: usize = 400;
    let chat = Chat::without_messages().await;
    let receivers = join_all((0..4).map(|_| Receiver::replying(|_| Reply::Slow(20)))).await;
    let endpoints = join_all(receivers.iter().map(|receiver| chat.webhook(&receiver.url))).await;
    for endpoint in &endpoints {
        chat.backlog(endpoint, EVENTS).await;
    }
    // With the local cloud's own one that makes three. They end whenever they find nothing, and begin again.
    let deliverer = async || {
        let mut function = Function::start("deliver-webhooks", &[("WEBHOOK_RETENTION_DAYS", "30")]).await;
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
        _ = join(deliverer(), deliverer()) => {}
    }
    for (receiver, endpoint) in receivers.iter().zip(&endpoints) {
        let arrived = receiver.received();
        assert_eq!((arrived.len(), tally(&arrived).len()), (EVENTS, EVENTS));
        chat.retire(endpoint).await;
    }
}

#[tokio::test]
async fn a_deliverer_with_nothing_left_to_do_ends_at_once() {
    let chat = Chat::without_messages().await;
    // In the order in which who records attempts locks them.
    let retire_all = "with e as (select id from tinychat.webhook_endpoints order by id for update)
        update tinychat.webhook_endpoints w set disabled_at = now() from e where w.id = e.id";
    chat.db.execute(retire_all, &[]).await.unwrap();
    let receiver = Receiver::new().await;
    let endpoint = chat.webhook(&receiver.url).await;
    chat.backlog(&endpoint, 3).await;
    let mut deliverer = Function::start("deliver-webhooks", &[("WEBHOOK_RETENTION_DAYS", "30")]).await;
    let ended = timeout(Duration::from_secs(5), deliverer.invoke(json!({}))).await;
    assert!(ended.expect("it goes on").is_ok());
    chat.until_delivered(&endpoint, 3, LEASE).await;
}

#[tokio::test]
async fn what_a_killed_deliverer_was_at_is_delivered_when_its_lease_has_run_out() {
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
    chat.until_delivered(&endpoint, 1, Duration::from_secs(40)).await;
    assert_eq!(receiver.received().len(), 2);
    chat.retire(&endpoint).await;
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
        println!("a retry that was due arrived after {:?}", due.elapsed());
    }
    assert!(crowd.delivered(&crowded).await < 90_000, "the backlog was still there");
    crowd.retire(&crowded).await;
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
        chat.retire(&endpoint).await;
    }
}

#[tokio::test]
async fn a_message_whose_event_cannot_be_written_is_not_written_either() {
    let mut chat = Chat::new().await;
    let receiver = Receiver::new().await;
    let endpoint = chat.webhook(&receiver.url).await;
    let name = format!("broken_{}", endpoint.id.simple());
    let break_it = format!(
        "create function tinychat.{name}() returns trigger language plpgsql as
            $$ begin raise 'no events today'; end $$;
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
    chat.retire(&endpoint).await;
}

#[tokio::test]
async fn a_statement_that_runs_twice_writes_one_event() {
    for cut in [Cut::BeforeExecution, Cut::AfterCommit] {
        let mut chat = Chat::without_messages().await;
        let receiver = Receiver::new().await;
        let endpoint = chat.webhook(&receiver.url).await;
        let wire = Wire::new().await;
        let ada = json!({ "sender_id": "ada", "body": "hi" });
        for function in ["send-message", "edit-message", "delete-message"] {
            let request = match function {
                "send-message" => Request::post(chat.path("messages"), &ada),
                "edit-message" => Request::patch(chat.message_path(), &ada),
                _ => Request::delete(chat.message_path(), &ada),
            };
            let mut process = Function::start(function, &[("DATABASE_URL", &wire.database_url)]).await;
            let stranger = Request::post("/v1/", &json!({})).with_key("pk_test_000000000000000000000000");
            assert_eq!(process.call(event_of(function, &chat, &stranger)).await.0, 401);
            wire.cut(cut);
            let (status, answer) = process.call(event_of(function, &chat, &request)).await;
            assert_eq!(status, 200, "{function} with {cut:?}: {answer}");
            chat.message = answer["message"].clone();
            let count = receiver.received().len() + 1;
            let events = chat.until_deliveries(|delivery| delivery["outcome"] == "delivered").await;
            assert_eq!(
                (events.len(), receiver.wait_for(count).await.len()),
                (count, count),
                "{function} {cut:?}"
            );
            assert_eq!(receiver.received()[count - 1].json()["data"]["message"], answer["message"]);
        }
        chat.retire(&endpoint).await;
    }
}

#[tokio::test]
async fn with_a_webhook_too_an_answer_takes_one_round_trip() {
    let chat = Chat::without_messages().await;
    let receiver = Receiver::replying(|_| Reply::Slow(500)).await;
    let endpoint = chat.webhook(&receiver.url).await;
    let wire = Wire::new().await;
    let mut process = Function::start("send-message", &[("DATABASE_URL", &wire.database_url)]).await;
    let send = Request::post(chat.path("messages"), &json!({ "sender_id": "ada", "body": "hi" }));
    for of_the_start in [1, 0, 0] {
        assert_eq!(process.call(event_of("send-message", &chat, &send)).await.0, 200);
        assert_eq!(wire.count().round_trips, of_the_start + 1, "before the answer");
        chat.until_deliveries(|delivery| delivery["outcome"] == "delivered").await;
        assert_eq!(wire.count().round_trips, 1, "to record the attempt");
    }
    chat.retire(&endpoint).await;
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
    kill("deliver-webhooks"); // which may be at work; the next one purges first
    let deadline = Instant::now() + Duration::from_secs(10);
    while chat.deliveries().await.len() > 1 {
        assert!(Instant::now() < deadline, "the old one is still there");
        sleep(Duration::from_millis(50)).await;
    }
    let left = chat.deliveries().await.remove(0)["payload"].take();
    assert!(left.as_str().unwrap().contains("new"));
    chat.retire(&endpoint).await;
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
    let answers = chat.deliveries().await;
    for endpoint in &endpoints {
        chat.retire(endpoint).await;
    }
    let logs = std::fs::read_dir(Path::new(&setting("DATA_DIR")).join("logs")).unwrap();
    let logs =
        logs.map(|log| String::from_utf8_lossy(&std::fs::read(log.unwrap().path()).unwrap()).into_owned());
    let told = logs.chain(answers.iter().map(|delivery| delivery["last_answer"].to_string()));
    for text in told {
        for secret in &secrets {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
    }
}
