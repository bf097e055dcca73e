//! Many senders, while the database goes away under them.

use crate::cloud::{downs, during, kill_backends, superuser, until};
use crate::support::{Chat, Request};
use futures_util::future::join_all;
use serde_json::{Value, json};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::time::Duration;
use tokio::time::{Instant, sleep};

const CLIENTS: usize = 8;

/// How many sends must succeed.
const SENDS: usize = 2_000;

/// Something that was done to the database, from when to when.
struct Outage {
    from: Instant,
    to: Instant,
    /// How many of a request's two tries it can have spoiled.
    spoils: usize,
}

/// What became of a message that a client has sent, once or again and again.
#[derive(Default)]
struct Sent {
    /// The message's id, once a send was answered 200.
    id: Option<Value>,
    /// When the sends that were answered 500 began and ended.
    failures: Vec<(Instant, Instant)>,
}

/// What the clients do.
struct Senders {
    chat: Chat,
    succeeded: Cell<usize>,
    sent: RefCell<HashMap<String, Sent>>,
}

impl Senders {
    async fn new() -> Self {
        Self { chat: Chat::new().await, succeeded: Cell::default(), sent: RefCell::default() }
    }

    /// Runs all clients, and meanwhile ends connections, and now and then a server.
    async fn run_through_outages(&self) -> Vec<Outage> {
        let clients = join_all((0..CLIENTS).map(|client| self.run(client)));
        let outages = async {
            let downs = downs();
            let mut outages = Vec::new();
            for round in 1..SENDS / 20 {
                until("too few sends", || self.succeeded.get() >= round * 20).await;
                let from = Instant::now();
                let spoils = if round % 12 == 0 {
                    during(downs[round / 12 % downs.len()].clone(), async {}).await;
                    2
                } else {
                    assert_eq!(kill_backends(1).await, 1);
                    1
                };
                outages.push(Outage { from, to: Instant::now(), spoils });
            }
            outages
        };
        tokio::join!(clients, outages).1
    }

    /// One client. It sends every other message with a `client_message_id`, and such a one again until it is there.
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

    /// Sends a message, and tells whether that succeeded.
    async fn send(&self, body: &str, message: &Value) -> bool {
        let began = Instant::now();
        let request = Request::post(self.chat.path("messages"), message);
        let answer = self.chat.call(request).await;
        let mut sent = self.sent.borrow_mut();
        let sent = sent.entry(body.to_owned()).or_default();
        if answer.status == 200 {
            sent.id = Some(answer.json()["message"]["id"].take());
            self.succeeded.update(|count| count + 1);
        } else {
            answer.error(500, "database unavailable");
            sent.failures.push((began, Instant::now()));
        }
        answer.status == 200
    }

    async fn until_up(&self) {
        while self.chat.call(Request::get("/v1/config")).await.status != 200 {
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Asserts that every message which was answered 200 is stored once, and that none is stored twice.
    async fn are_stored_once(&self) {
        let query = "select body, array_agg(id::text) from tinychat.messages
            where conversation_id = $1::text::uuid and sender_id like 'sender %' group by body";
        let rows = superuser().await.query(query, &[&self.chat.conversation]).await.unwrap();
        let stored: HashMap<String, Vec<String>> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
        for (body, sent) in &*self.sent.borrow() {
            let ids = stored.get(body).map_or(&[][..], Vec::as_slice);
            match &sent.id {
                Some(id) => assert_eq!(json!(ids), json!([id]), "{body}"),
                None => assert!(ids.len() <= 1, "{body} is stored as {ids:?}"),
            }
        }
        assert!(stored.keys().all(|body| self.sent.borrow().contains_key(body)));
    }

    /// Asserts that a request failed only if outages spoiled both its tries.
    fn failed_only_in(&self, outages: &[Outage]) {
        for (body, sent) in &*self.sent.borrow() {
            for (began, ended) in &sent.failures {
                let met = outages.iter().filter(|outage| outage.from <= *ended && *began <= outage.to);
                let spoiled: usize = met.map(|outage| outage.spoils).sum();
                assert!(spoiled >= 2, "{body} failed after {:?}", *ended - *began);
            }
        }
    }
}

#[tokio::test]
async fn every_send_answered_200_is_stored_once_while_connections_and_servers_die() {
    let senders = Senders::new().await;
    let outages = senders.run_through_outages().await;
    senders.chat.send("ada", "the next request succeeds").await;
    senders.are_stored_once().await;
    senders.failed_only_in(&outages);
}
