//! Many senders, during outages of the database.

use crate::cloud::{downs, during, kill_backends, superuser, until};
use futures_util::future::join_all;
use serde_json::{Value, json};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::time::Duration;
use support::{Chat, Request};
use tokio::time::{Instant, sleep};

const CLIENTS: usize = 8;

/// The number of sends that must succeed.
const SENDS: usize = 2_000;

/// A fault of the database, with its start and end.
struct Outage {
    from: Instant,
    to: Instant,
    /// The number of a request's two tries that it may cause to fail.
    failing_tries: usize,
}

/// The results of all sends of one message, which may be sent repeatedly.
#[derive(Default)]
struct Sent {
    /// The message's id, if a response was a 200.
    id: Option<Value>,
    /// The start and end of the sends whose response was a 500.
    failures: Vec<(Instant, Instant)>,
}

/// The clients and their results.
struct Senders {
    chat: Chat,
    succeeded: Cell<usize>,
    sent: RefCell<HashMap<String, Sent>>,
}

impl Senders {
    async fn new() -> Self {
        Self { chat: Chat::new().await, succeeded: Cell::default(), sent: RefCell::default() }
    }

    /// Runs all clients. Ends connections meanwhile, and sometimes stops a server.
    async fn run_through_outages(&self) -> Vec<Outage> {
        let clients = join_all((0..CLIENTS).map(|client| self.run(client)));
        let outages = async {
            let downs = downs();
            let mut outages = Vec::new();
            for round in 1..SENDS / 20 {
                until("more sends succeed", || self.succeeded.get() >= round * 20).await;
                let from = Instant::now();
                let failing_tries = if round % 12 == 0 {
                    during(downs[round / 12 % downs.len()].clone(), async {}).await;
                    2
                } else {
                    assert_eq!(kill_backends(1).await, 1);
                    1
                };
                outages.push(Outage { from, to: Instant::now(), failing_tries });
            }
            outages
        };
        tokio::join!(clients, outages).1
    }

    /// Runs one client. Every second message has a `client_message_id` and is sent again until that succeeds.
    async fn run(&self, client: usize) {
        let (mut succeeded, mut number) = (0, 0);
        while succeeded < SENDS / CLIENTS {
            number += 1;
            let body = format!("{client}/{number}");
            let again = number % 2 == 0;
            let mut message = json!({ "sender_id": format!("sender {client}"), "body": body });
            if again {
                message["client_message_id"] = json!(body);
            }
            while !self.send(&body, &message).await {
                self.until_up().await;
                if !again {
                    break;
                }
            }
            succeeded += usize::from(self.sent.borrow()[&body].id.is_some());
        }
    }

    /// Sends a message. Returns whether that succeeded.
    async fn send(&self, body: &str, message: &Value) -> bool {
        let began = Instant::now();
        let request = Request::post(self.chat.path("messages"), message);
        let response = self.chat.call(request).await;
        let mut sent = self.sent.borrow_mut();
        let sent = sent.entry(body.to_owned()).or_default();
        if response.status == 200 {
            sent.id = Some(response.json()["message"]["id"].take());
            self.succeeded.update(|count| count + 1);
        } else {
            response.error(500, "database unavailable");
            sent.failures.push((began, Instant::now()));
        }
        response.status == 200
    }

    async fn until_up(&self) {
        while self.chat.call(Request::get("/v1/config")).await.status != 200 {
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Asserts that every message whose response was a 200 is stored once, and that none is stored twice.
    async fn assert_stored_once(&self) {
        let query = "select body, array_agg(id::text) from tinychat.messages
            where conversation_id = $1::text::uuid and sender_id like 'sender %' group by body";
        let rows = superuser().await.query(query, &[&self.chat.conversation]).await.unwrap();
        let stored: HashMap<String, Vec<String>> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
        for (body, sent) in &*self.sent.borrow() {
            let ids = stored.get(body).map_or(&[][..], Vec::as_slice);
            match &sent.id {
                Some(id) => assert_eq!(json!(ids), json!([id]), "{body}"),
                None => assert!(ids.len() <= 1, "{body} is stored more than once: {ids:?}"),
            }
        }
        assert!(stored.keys().all(|body| self.sent.borrow().contains_key(body)));
    }

    /// Asserts that a request failed only if outages may have caused both of its tries to fail.
    fn assert_failed_only_in(&self, outages: &[Outage]) {
        for (body, sent) in &*self.sent.borrow() {
            for (began, ended) in &sent.failures {
                let met = outages.iter().filter(|outage| outage.from <= *ended && *began <= outage.to);
                let failed: usize = met.map(|outage| outage.failing_tries).sum();
                assert!(failed >= 2, "{body} failed after {:?}", *ended - *began);
            }
        }
    }
}

#[tokio::test]
async fn every_send_answered_200_is_stored_once_while_connections_and_servers_die() {
    let senders = Senders::new().await;
    let outages = senders.run_through_outages().await;
    senders.chat.send("ada", "the next request succeeds").await;
    senders.assert_stored_once().await;
    senders.assert_failed_only_in(&outages);
}
