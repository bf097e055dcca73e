//! GET /v1/conversations/{id}/messages

use futures_util::future::join_all;
use serde_json::{Value, json};
use support::{Chat, Request, assert_keys, assert_time};

fn request(chat: &Chat) -> Request {
    Request::get(chat.path("messages?limit=10"))
}

every_route!(request);
conversation_route!(request);

fn column<'a>(messages: &'a [Value], field: &str) -> Vec<&'a str> {
    messages.iter().map(|message| message[field].as_str().unwrap()).collect()
}

/// Pages back from the newest message to the first. Returns all messages, the oldest first.
async fn page_back(chat: &Chat, limit: usize) -> Vec<Value> {
    let mut messages: Vec<Value> = Vec::new();
    loop {
        let before = messages
            .first()
            .map_or(String::new(), |oldest| format!("&before={}", oldest["created_at"].as_str().unwrap()));
        let mut page = chat.history(&format!("?limit={limit}{before}")).await;
        if page.is_empty() {
            return messages;
        }
        assert!(page.len() <= limit);
        page.append(&mut messages);
        messages = page;
    }
}

#[tokio::test]
async fn a_message_is_shown_in_full() {
    let chat = Chat::new().await;
    let history = chat.history("").await;
    assert_keys(
        &history[0],
        &[
            "id",
            "conversation_id",
            "sender_id",
            "body",
            "message_type",
            "media_url",
            "reply_to",
            "created_at",
            "updated_at",
            "edited_at",
            "deleted_at",
        ],
    );
    assert_time(&history[0]["created_at"]);
    let expected = json!({
        "id": chat.message["id"], "conversation_id": chat.conversation, "sender_id": "ada", "body": "hello",
        "message_type": "text", "media_url": null, "reply_to": null, "created_at": chat.message["created_at"],
        "updated_at": chat.message["created_at"], "edited_at": null, "deleted_at": null,
    });
    assert_eq!(history, [expected]);
}

#[tokio::test]
async fn messages_come_oldest_first_without_the_deleted_ones() {
    let chat = Chat::new().await;
    for body in ["2", "3"] {
        chat.send("bob", body).await;
    }
    assert_eq!(column(&chat.history("").await, "body"), ["hello", "2", "3"]);
    chat.call(Request::delete(chat.message_path(), &json!({ "sender_id": "ada" }))).await.ok();
    assert_eq!(column(&chat.history("").await, "body"), ["2", "3"]);
}

#[tokio::test]
async fn a_page_holds_50_unless_limit_says_otherwise_and_never_more_than_200() {
    let chat = Chat::new().await;
    join_all((0..201).map(|_| chat.send("ada", "x"))).await;
    for (query, size) in [
        ("", 50),
        ("?limit=1", 1),
        ("?limit=51", 51),
        ("?limit=0200", 200),
        ("?limit=201", 200),
        ("?limit=99999999999999999999999", 200),
    ] {
        assert_eq!(chat.history(query).await.len(), size, "{query}");
    }
}

#[tokio::test]
async fn before_leaves_out_its_own_time_and_what_is_later() {
    let chat = Chat::new().await;
    chat.send("ada", "2").await;
    let third = chat.send("ada", "3").await;
    let before = format!("?before={}", third["created_at"].as_str().unwrap());
    assert_eq!(column(&chat.history(&before).await, "body"), ["hello", "2"]);
    assert_eq!(column(&chat.history(&format!("{before}&limit=1")).await, "body"), ["2"]);
}

#[tokio::test]
async fn before_is_understood_with_any_offset() {
    let chat = Chat::new().await;
    let after = chat.send("ada", "2").await;
    let time: chrono::DateTime<chrono::Utc> = after["created_at"].as_str().unwrap().parse().unwrap();
    let zone = |hours: i32| chrono::FixedOffset::east_opt(hours * 3600).unwrap();
    let east = time.with_timezone(&zone(2)).format("%Y-%m-%dT%H:%M:%S%.3f%:z").to_string();
    let west = time.with_timezone(&zone(-7)).format("%Y-%m-%dT%H:%M:%S%.3f%:z").to_string();
    let utc = time.format("%Y-%m-%dT%H:%M:%S%.6f+00:00").to_string();
    for before in [&east, &east.replace('+', "%2B"), &west, &utc] {
        assert_eq!(column(&chat.history(&format!("?before={before}")).await, "body"), ["hello"], "{before}");
    }
    for (before, count) in [("2020-01-01T00:00:00Z", 0), ("2999-01-01T00:00:00Z", 2)] {
        assert_eq!(chat.history(&format!("?before={before}")).await.len(), count, "{before}");
    }
}

#[tokio::test]
async fn a_limit_that_is_no_whole_number_from_1_answers_400() {
    let chat = Chat::new().await;
    for limit in ["", "0", "-1", "1.5", "1e2", "ten", "NaN", "1%20", "%00", "0x10"] {
        let request = Request::get(chat.path(&format!("messages?limit={limit}")));
        chat.refuses(request, 400, "limit must be a whole number of at least 1").await;
    }
}

#[tokio::test]
async fn a_cursor_that_is_no_time_answers_400() {
    let chat = Chat::new().await;
    let id = chat.message["id"].as_str().unwrap();
    for before in
        ["", "yesterday", "1768472481412", "2026-13-01T00:00:00Z", "2026-01-15T25:00:00Z", "%00", id]
    {
        let request = Request::get(chat.path(&format!("messages?before={before}")));
        chat.refuses(request, 400, "before must be an ISO-8601 time").await;
    }
}

#[tokio::test]
async fn a_bad_query_is_seen_after_the_key_and_before_the_conversation() {
    let mut chat = Chat::new().await;
    chat.conversation = "c_abc".to_owned();
    let request = Request::get(chat.path("messages?limit=0"));
    chat.refuses(request.clone(), 400, "limit must be a whole number of at least 1").await;
    chat.refuses(request.with_key("pk_"), 401, "invalid api key").await;
}

#[tokio::test]
async fn a_thousand_messages_of_16_concurrent_senders_are_paged_back_each_once_in_order() {
    let chat = Chat::new().await;
    // Each sender waits for a response before it sends again, so its messages have an order.
    let sent = join_all((0..16).map(async |sender| {
        let mut ids = Vec::new();
        for n in (sender..999).step_by(16) {
            let message = chat.send(&format!("sender_{sender}"), &n.to_string()).await;
            ids.push(message["id"].as_str().unwrap().to_owned());
        }
        ids
    }))
    .await;
    let whole = page_back(&chat, 200).await;
    assert_eq!(whole.len(), 1000);
    assert!(
        column(&whole, "created_at").is_sorted_by(|earlier, later| earlier < later),
        "times strictly increase"
    );
    for (sender, ids) in sent.iter().enumerate() {
        let theirs: Vec<_> =
            whole.iter().filter(|message| message["sender_id"] == format!("sender_{sender}")).collect();
        assert_eq!(theirs.iter().map(|message| message["id"].as_str().unwrap()).collect::<Vec<_>>(), *ids);
    }
    for limit in [1, 7] {
        assert_eq!(page_back(&chat, limit).await, whole, "limit {limit}");
    }
}

/// Lambda returns no response of more than 6 MB, and API Gateway responds with 500.
#[tokio::test]
async fn a_page_of_the_longest_messages_stops_at_5_mb_and_the_rest_is_on_the_next() {
    let chat = Chat::without_messages().await;
    let send = "insert into tinychat.messages
            (conversation_id, id, sender_id, body, message_type, created_at)
        select $1, gen_random_uuid(), 'ada', repeat($2, 10000), 'text', date_trunc('second', now()) + n * interval '1 ms'
        from generate_series($3::bigint, $3 + 149) n";
    let conversation: uuid::Uuid = chat.conversation.parse().unwrap();
    for (character, first) in [("💬", 1_i64), ("\u{1}", 10_001)] {
        chat.db.execute(send, &[&conversation, &character, &first]).await.unwrap();
    }
    let response = chat.call(Request::get(chat.path("messages?limit=200"))).await;
    response.ok();
    assert!((4_900_000..5_010_000).contains(&response.body.len()), "{}", response.body.len());
    let whole = page_back(&chat, 200).await;
    assert_eq!(whole.len(), 300);
    assert!(column(&whole, "created_at").is_sorted_by(|earlier, later| earlier < later));
}
