//! Broadcasts through a Realtime that is slow, down or broken. Callers must not notice.

use crate::cloud::{Log, assert_silent, during, kill, listen, until, until_frozen};
use futures_util::future::join_all;
use reqwest::Url;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use support::lambda::event_of;
use support::{Channel, Chat, Function, Request, setting};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

/// The delay of the slow Realtime, in milliseconds.
const DELAY: u64 = 300;

/// The tolerance for an increase of the median response time.
pub const TOLERANCE: Duration = Duration::from_millis(5);

const ROUNDS: usize = 30;

/// The functions that broadcast to a conversation's channel.
const FUNCTIONS: [&str; 6] =
    ["send-message", "edit-message", "mark-read", "delete-message", "update-conversation", "send-typing"];

/// The result of one request to each of [`FUNCTIONS`]: a message that was sent, edited, read and deleted, then a new
/// participant and typing.
struct Round {
    message: Value,
    times: [Duration; 6],
}

async fn round(chat: &mut Chat) -> Round {
    let ada = json!({ "sender_id": "ada", "body": "sent" });
    let (mut response, sent) = timed(chat, Request::post(chat.path("messages"), &ada)).await;
    chat.message = response["message"].take();
    let edit = ada.as_object().unwrap().clone();
    let edit = Request::patch(chat.message_path(), &Value::Object(edit)).with_field("body", "edited");
    let (_, edited) = timed(chat, edit).await;
    let (_, read) = timed(chat, Request::post(chat.path("read"), &json!({ "user_id": "bob" }))).await;
    let (_, deleted) = timed(chat, Request::delete(chat.message_path(), &ada)).await;
    let guest = json!({ "add_participants": [chat.message["id"]] });
    let update = Request::patch(format!("/v1/conversations/{}", chat.conversation), &guest);
    let (_, updated) = timed(chat, update.with_secret_key()).await;
    let (_, typed) = timed(chat, Request::post(chat.path("typing"), &ada)).await;
    Round { message: chat.message.clone(), times: [sent, edited, read, deleted, updated, typed] }
}

async fn timed(chat: &Chat, request: Request) -> (Value, Duration) {
    let began = Instant::now();
    let response = chat.call(request).await;
    let time = began.elapsed();
    (response.ok(), time)
}

/// Asserts that the next events are those of a round, in order.
async fn receives(channel: &mut Channel, message: &Value) {
    for body in [json!("sent"), json!("edited"), Value::Null] {
        if body.is_null() {
            assert_eq!(channel.next("read").await["read"]["user_id"], "bob");
        }
        let event = channel.next("message").await;
        assert_eq!((&event["message"]["id"], &event["message"]["body"]), (&message["id"], &body));
    }
    let participants = channel.next("conversation").await["conversation"]["participants"].take();
    assert_eq!(participants.as_array().unwrap().last(), Some(&message["id"]));
    assert_eq!(channel.next("typing").await["senderId"], "ada");
}

/// Beside other load, the functions' processes may overtake each other after their responses.
#[tokio::test]
async fn events_of_one_sender_arrive_in_the_order_of_its_requests() {
    let mut chat = Chat::new().await;
    let mut channel = listen(&chat).await;
    let ada = json!({ "sender_id": "ada" });
    let mut responses = Vec::new();
    for n in 0..10 {
        chat.message = chat.send("ada", &n.to_string()).await;
        responses.push(json!({ "message": chat.message }));
        let edit = Request::patch(chat.message_path(), &ada).with_field("body", "edited");
        responses.push(chat.call(edit).await.ok());
        responses.push(chat.call(Request::delete(chat.message_path(), &ada)).await.ok());
    }
    for response in responses {
        assert_eq!(channel.next("message").await, response);
    }
}

#[tokio::test]
async fn a_slow_realtime_slows_no_answer_and_loses_no_event() {
    let mut chat = Chat::new().await;
    let mut channel = listen(&chat).await;
    let mut times = FUNCTIONS.map(|_| [const { Vec::new() }; 2]);
    let warm_up = round(&mut chat).await;
    receives(&mut channel, &warm_up.message).await;
    for number in 0..2 * ROUNDS {
        let slow = (number + number / 2) % 2 == 1; // the order of fast and slow alternates from pair to pair
        let delay = if slow { DELAY } else { 0 };
        until_frozen().await;
        during(json!({ "realtime": { "delay_ms": delay } }), async {
            let began = Instant::now();
            let round = round(&mut chat).await;
            receives(&mut channel, &round.message).await;
            assert!(began.elapsed() >= Duration::from_millis(delay));
            for (times, time) in times.iter_mut().zip(round.times) {
                times[usize::from(slow)].push(time);
            }
        })
        .await;
    }
    for (function, [fast, slow]) in FUNCTIONS.iter().zip(times.map(|times| times.map(median))) {
        println!("{function}: {fast:?}; with a slow Realtime {slow:?}");
        assert!(slow < fast + TOLERANCE, "{function}: a slow Realtime increases {fast:?} to {slow:?}");
    }
}

pub fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

#[tokio::test]
async fn a_slow_realtime_keeps_the_order_of_one_senders_messages() {
    let chat = Chat::new().await;
    let mut channel = listen(&chat).await;
    during(json!({ "realtime": { "delay_ms": DELAY } }), async {
        let mut sent = Vec::new();
        for number in 0..25 {
            sent.push(chat.send("ada", &number.to_string()).await);
        }
        for message in sent {
            assert_eq!(channel.next("message").await["message"], message);
        }
    })
    .await;
}

#[tokio::test]
async fn a_broken_realtime_changes_no_answer_and_what_is_lost_is_logged() {
    let mut chat = Chat::new().await;
    let mut channel = listen(&chat).await;
    for fault in [
        json!({ "reset": true }),
        json!({ "hang": true }),
        json!({ "status": 401 }),
        json!({ "status": 429 }),
        json!({ "status": 500 }),
    ] {
        let warm_up = round(&mut chat).await;
        receives(&mut channel, &warm_up.message).await;
        until_frozen().await;
        let logs = FUNCTIONS.map(Log::of);
        let round = during(json!({ "realtime": fault }), async {
            let round = round(&mut chat).await;
            until_frozen().await;
            round
        })
        .await;
        let slowest = round.times.into_iter().max().unwrap();
        assert!(slowest < Duration::from_millis(500), "{fault}: {slowest:?}");
        for (function, log) in FUNCTIONS.iter().zip(logs) {
            until("an error is logged", || !log.errors().is_empty()).await;
            let errors = log.errors();
            assert_eq!(errors.len(), 1, "{function} with {fault}: {errors:?}");
            let text = errors[0].to_string();
            let mut ids = vec![json!(chat.tenant), json!(chat.conversation)];
            if !["mark-read", "update-conversation", "send-typing"].contains(function) {
                ids.push(round.message["id"].clone());
            }
            for id in ids {
                assert!(text.contains(id.as_str().unwrap()), "{function} with {fault}: {text}");
            }
        }
        assert_silent(&mut channel).await;
    }
}

#[tokio::test]
async fn a_realtime_that_hangs_keeps_no_function_busy_and_is_found_again() {
    const SENDS: usize = 12;
    let chat = Chat::new().await;
    let mut channel = listen(&chat).await;
    let mut process = Function::start("send-message", &[("STACK", "s")]).await;
    let request = Request::post(chat.path("messages"), &json!({ "sender_id": "ada", "body": "hi" }));
    let event = event_of("send-message", &chat, &request);
    process.call(event.clone()).await; // the first call includes the start
    channel.next("message").await;
    let mut times = Vec::new();
    during(json!({ "realtime": { "hang": true } }), async {
        process.call(event.clone()).await;
        for _ in 0..SENDS {
            let began = Instant::now();
            assert_eq!(process.call(event.clone()).await.0, 200);
            times.push(began.elapsed()); // includes the rest of the work after the response before
            let line: Value = serde_json::from_str(&process.log_line("broadcasts_lost\":1").await).unwrap();
            let metrics = &line["_aws"]["CloudWatchMetrics"][0];
            assert_eq!((&line["stack"], &metrics["Namespace"]), (&json!("s"), &json!("TinyChat")));
            assert_eq!(metrics["Dimensions"], json!([["stack"]]));
            assert_eq!(metrics["Metrics"], json!([{ "Name": "broadcasts_lost", "Unit": "Count" }]));
        }
    })
    .await;
    println!("with a Realtime that hangs: {times:?}");
    assert!(times.iter().all(|time| *time < Duration::from_millis(1_200)), "{times:?}");
    assert!(median(times.clone()) < Duration::from_millis(300), "{times:?}");
    sleep(Duration::from_secs(3)).await;
    for _ in 0..3 {
        let (_, sent) = process.call(event.clone()).await;
        assert_eq!(channel.next("message").await, sent);
    }
}

#[tokio::test]
async fn a_realtime_that_hangs_takes_no_environments_from_others() {
    let chat = Chat::new().await;
    let healthy = median(sends_at_a_steady_rate(&chat).await);
    until_frozen().await;
    let hang = json!({ "realtime": { "hang": true } });
    let hanging = median(during(hang, sends_at_a_steady_rate(&chat)).await);
    kill("send-message"); // because its processes would send no broadcasts for some seconds
    println!("20 sends per second: {healthy:?}; with a Realtime that hangs {hanging:?}");
    assert!(
        hanging < healthy * 3 / 2 + TOLERANCE,
        "a Realtime that hangs increases {healthy:?} to {hanging:?}"
    );
}

/// Makes 20 sends per second for eight seconds, without waiting for earlier responses. Returns the response times.
pub async fn sends_at_a_steady_rate(chat: &Chat) -> Vec<Duration> {
    let start = Instant::now();
    let send = Request::post(chat.path("messages"), &json!({ "sender_id": "ada", "body": "hi" }));
    join_all((0..160).map(|number| {
        let send = send.clone();
        async move {
            let due = start + Duration::from_millis(50) * number;
            tokio::time::sleep_until(due.into()).await;
            chat.call(send).await.ok();
            due.elapsed()
        }
    }))
    .await
}

#[tokio::test]
async fn a_broadcast_whose_first_try_fails_is_not_lost() {
    let busy = "HTTP/1.1 429 Too Many Requests\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
    let broken = "HTTP/1.1 500 Internal Server Error\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
    for first_response in ["", busy, broken] {
        let chat = Chat::new().await;
        let mut channel = listen(&chat).await;
        let url = fails_once(first_response).await;
        let mut process = Function::start("send-message", &[("SUPABASE_URL", &url)]).await;
        let request = Request::post(chat.path("messages"), &json!({ "sender_id": "ada", "body": "hi" }));
        let (status, sent) = process.call(event_of("send-message", &chat, &request)).await;
        assert_eq!(status, 200, "{sent}");
        assert_eq!(channel.next("message").await, sent);
        // The process takes a second event after all work of the first. Its broadcast must be the next one.
        let (_, second) = process.call(event_of("send-message", &chat, &request)).await;
        assert_eq!(channel.next("message").await, second);
    }
}

#[tokio::test]
async fn a_batch_that_is_too_large_for_realtime_reaches_the_conversation_without_the_inboxes() {
    let busy = "HTTP/1.1 429 Too Many Requests\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
    let broken = "HTTP/1.1 500 Internal Server Error\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
    for (first_response, inbox_receives) in [(busy, false), (broken, true)] {
        let chat = Chat::new().await;
        let mut inbox = Channel::join_inbox(&chat.register("bob").await).await;
        let mut channel = listen(&chat).await;
        let url = fails_once(first_response).await;
        let mut process =
            Function::start("send-message", &[("SUPABASE_URL", &url), ("REALTIME_INBOX", "true")]).await;
        let request = Request::post(chat.path("messages"), &json!({ "sender_id": "ada", "body": "hi" }));
        let (status, sent) = process.call(event_of("send-message", &chat, &request)).await;
        assert_eq!(status, 200, "{sent}");
        assert_eq!(channel.next("message").await, sent);
        if inbox_receives {
            assert_eq!(inbox.next("message").await, sent);
        } else {
            let line: Value = serde_json::from_str(&process.log_line("broadcast lost").await).unwrap();
            assert!(line["error"].as_str().unwrap().contains("without the inbox channels"), "{line}");
            process.log_line("broadcasts_lost\":1").await;
        }
        process.settle().await;
        for channel in [&mut channel, &mut inbox] {
            channel.is_silent().await;
        }
    }
}

/// Starts a relay to Supabase whose first connection ends with this response. Returns its URL.
async fn fails_once(first_response: &'static str) -> String {
    let supabase = Url::parse(&setting("SUPABASE_URL")).unwrap();
    let supabase = (supabase.host_str().unwrap().to_owned(), supabase.port().unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (mut first, _) = listener.accept().await.unwrap();
        first.read_u8().await.unwrap();
        first.write_all(first_response.as_bytes()).await.unwrap();
        drop(first);
        while let Ok((mut function, _)) = listener.accept().await {
            let supabase = supabase.clone();
            tokio::spawn(async move {
                let mut supabase = TcpStream::connect(supabase).await?;
                copy_bidirectional(&mut function, &mut supabase).await
            });
        }
    });
    url
}
