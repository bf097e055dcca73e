//! Rows that another connection has locked. A change whose response was a 500 must not happen later, and its repetition must
//! be broadcast.

use crate::cloud::{assert_silent, listen, superuser};
use serde_json::{Value, json};
use std::time::Duration;
use support::lambda::event_of;
use support::{Channel, Chat, Function, Receiver, Reply, Request, TIMEOUT};
use tokio::time::{Instant, sleep};
use tokio_postgres::Client;

/// The time for which a row stays locked, which is longer than a request waits.
const HELD: Duration = Duration::from_millis(3_600);

/// A change that can be requested twice, and the query that locks its row.
struct Change {
    function: &'static str,
    request: Request,
    row: &'static str,
    /// The name of its broadcast.
    event: &'static str,
}

async fn changes(chat: &Chat) -> [Change; 3] {
    chat.need_secret_key().await;
    let conversation = format!("/v1/conversations/{}", chat.conversation);
    let message = json!({ "sender_id": "ada", "body": "late", "client_message_id": "c1" });
    [
        Change {
            function: "send-message",
            request: Request::post(chat.path("messages"), &message),
            row: "select from tinychat.conversations where id = $1::text::uuid for update",
            event: "message",
        },
        Change {
            function: "delete-message",
            request: Request::delete(chat.message_path(), &json!({ "sender_id": "ada" })),
            row: "select from tinychat.messages where conversation_id = $1::text::uuid for update",
            event: "message",
        },
        Change {
            function: "update-conversation",
            request: Request::patch(conversation, &json!({ "add_participants": ["eve"] })).with_secret_key(),
            row: "select from tinychat.conversations where id = $1::text::uuid for update",
            event: "conversation",
        },
    ]
}

/// Opens a transaction that has locked a row of the chat.
async fn lock(chat: &Chat, row: &str) -> Client {
    let client = superuser().await;
    client.batch_execute("begin").await.unwrap();
    client.query(row, &[&chat.conversation]).await.unwrap();
    client
}

/// A condition on a connection whose statement waits for a lock.
const WAITING: &str = "wait_event_type = 'Lock'";

/// A condition on a connection that is in a statement or a transaction.
const BUSY: &str = "state <> 'idle'";

/// Waits until a condition holds for this number of the functions' connections.
async fn until_connections(condition: &str, count: i64) {
    let connections =
        format!("select count(*) from pg_stat_activity where {condition} and usename = 'tinychat_functions'");
    let (client, deadline) = (superuser().await, Instant::now() + TIMEOUT);
    while client.query_one(&connections, &[]).await.unwrap().get::<_, i64>(0) != count {
        assert!(Instant::now() < deadline, "not {count} connections with {condition}");
        sleep(Duration::from_millis(10)).await;
    }
}

/// Ends the functions' only connection that waits for a lock.
async fn end_waiting() {
    let end = "select pg_terminate_backend(pid) from pg_stat_activity
        where wait_event_type = 'Lock' and usename = 'tinychat_functions'";
    assert_eq!(superuser().await.query(end, &[]).await.unwrap().len(), 1);
}

/// Asserts that a repetition succeeds and is broadcast, and that a second repetition isn't.
async fn repetition_is_broadcast_once(chat: &Chat, channel: &mut Channel, change: &Change) {
    let repeated = chat.call(change.request.clone()).await.ok();
    assert_eq!(channel.next(change.event).await, repeated, "{}", change.function);
    assert_eq!(chat.call(change.request.clone()).await.ok(), repeated);
    assert_silent(channel).await;
}

#[tokio::test]
async fn what_was_answered_500_is_not_done_later_and_its_repeat_is_heard() {
    for (function, ends) in [
        ("send-message", false),
        ("send-message", true),
        ("delete-message", false),
        ("update-conversation", false),
    ] {
        let chat = Chat::new().await;
        let mut channel = listen(&chat).await;
        let change = changes(&chat).await.into_iter().find(|change| change.function == function).unwrap();
        let before = chat.rows().await;
        let locked = lock(&chat, change.row).await;
        let (released, began) = (sleep(HELD), Instant::now());
        let refused = async {
            chat.call(change.request.clone()).await.error(500, "database unavailable");
            assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
        };
        // After the end of a connection there is a second try, which has less time.
        let ended = async {
            if ends {
                sleep(Duration::from_millis(1_200)).await;
                end_waiting().await;
            }
        };
        tokio::join!(refused, ended, released);
        locked.batch_execute("rollback").await.unwrap();
        assert_silent(&mut channel).await;
        until_connections(BUSY, 0).await;
        assert_eq!(chat.rows().await, before, "{function} changed rows after its response");
        repetition_is_broadcast_once(&chat, &mut channel, &change).await;
    }
}

#[tokio::test]
async fn the_repetition_of_a_change_whose_function_died_before_its_broadcast_is_broadcast() {
    for number in 0..3 {
        let chat = Chat::new().await;
        let mut channel = listen(&chat).await;
        let change = changes(&chat).await.into_iter().nth(number).unwrap();
        let mut process = Function::start(change.function, &[]).await;
        let locked = lock(&chat, change.row).await;
        let event = event_of(change.function, &chat, &change.request);
        tokio::select! {
            outcome = process.call(event) => panic!("{outcome:?}"),
            () = until_connections(WAITING, 1) => drop(process),
        }
        let before = chat.rows().await;
        locked.batch_execute("rollback").await.unwrap();
        let deadline = Instant::now() + TIMEOUT;
        while chat.rows().await == before {
            assert!(Instant::now() < deadline, "{} didn't happen", change.function);
            sleep(Duration::from_millis(20)).await;
        }
        assert_silent(&mut channel).await;
        repetition_is_broadcast_once(&chat, &mut channel, &change).await;
    }
}

#[tokio::test]
async fn concurrent_repetitions_are_broadcast_once() {
    let chat = Chat::new().await;
    let mut channel = listen(&chat).await;
    for change in changes(&chat).await {
        let calls = (0..10).map(|_| chat.call(change.request.clone()));
        let responses = futures_util::future::join_all(calls).await;
        let responses: Vec<Value> = responses.iter().map(|response| response.ok()).collect();
        assert!(responses.iter().all(|response| *response == responses[0]));
        assert_eq!(channel.next(change.event).await, responses[0]);
        assert_silent(&mut channel).await;
    }
}

#[tokio::test]
async fn a_send_after_work_that_was_given_up_inside_a_transaction_is_stored() {
    let chat = Chat::without_messages().await;
    let receiver = Receiver::replying(|_| Reply::Slow(500)).await;
    let endpoint = chat.webhook(&receiver.url).await;
    let mut process = Function::start("send-message", &[]).await;
    let event = |body| {
        let message = json!({ "sender_id": "ada", "body": body });
        event_of("send-message", &chat, &Request::post(chat.path("messages"), &message))
    };
    assert_eq!(process.call(event("first")).await.0, 200);
    // The outcome of the attempt can't be recorded, and the connection ends. The second try has less time than the role's
    // statement timeout. It therefore sets its own timeout in a transaction, and is still waiting when its time is over.
    let locked = superuser().await;
    locked.batch_execute("begin").await.unwrap();
    let deliveries = "select from tinychat.webhook_deliveries where endpoint_id = $1 for update";
    assert_eq!(locked.query(deliveries, &[&endpoint.id]).await.unwrap().len(), 1);
    until_connections(WAITING, 1).await;
    sleep(Duration::from_millis(300)).await;
    end_waiting().await;
    process.log_line("work after the response was given up").await;
    locked.batch_execute("rollback").await.unwrap();
    assert_eq!(process.call(event("second")).await.0, 200);
    drop(process);
    until_connections(WAITING, 0).await;
    let history = chat.history("").await;
    let bodies: Vec<_> = history.iter().map(|message| &message["body"]).collect();
    assert_eq!(bodies, ["first", "second"]);
}

#[tokio::test]
async fn a_token_key_that_is_created_while_the_last_one_is_revoked_counts() {
    let chat = Chat::without_messages().await;
    let create = "insert into tinychat.token_keys (id, tenant_id, inner_pad, outer_pad)
        values (gen_random_uuid(), $1, decode(repeat('36', 64), 'hex'), decode(repeat('5c', 64), 'hex'))";
    chat.db.execute(create, &[&chat.tenant]).await.unwrap();
    let creator = superuser().await;
    creator.batch_execute("begin").await.unwrap();
    creator.execute(create, &[&chat.tenant]).await.unwrap();
    let revoke = "update tinychat.token_keys set revoked_at = now() where tenant_id = $1";
    let revoked = async {
        chat.db.execute(revoke, &[&chat.tenant]).await.unwrap();
    };
    let created = async {
        sleep(Duration::from_millis(300)).await; // the revocation waits for the tenant's row by then
        creator.batch_execute("commit").await.unwrap();
    };
    tokio::join!(revoked, created);
    let tenant = "select has_token_keys from tinychat.tenants where id = $1";
    let row = superuser().await.query_one(tenant, &[&chat.tenant]).await.unwrap();
    assert!(row.get::<_, bool>(0));
}
