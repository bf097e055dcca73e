//! GET /v1/conversations

use futures_util::future::join_all;
use serde_json::{Value, json};
use support::{Chat, Request, assert_keys, assert_time};

fn request(_: &Chat) -> Request {
    Request::get("/v1/conversations?user_id=ada")
}

every_route!(request);

fn ids(conversations: &[Value]) -> Vec<&str> {
    conversations.iter().map(|conversation| conversation["id"].as_str().unwrap()).collect()
}

/// Returns the preview of the chat's conversation.
async fn preview(chat: &Chat) -> Value {
    chat.conversations_of("ada").await[0]["last_message"].clone()
}

#[tokio::test]
async fn a_conversation_is_listed_in_full_for_each_participant_and_no_one_else() {
    let chat = Chat::new().await;
    for (user, unread_count) in [("ada", 0), ("bob", 1)] {
        let expected = json!({
            "id": chat.conversation, "tenant_id": chat.tenant, "kind": "direct", "external_ref": null,
            "participants": ["ada", "bob"], "status": "open", "last_message": "hello", "last_at": chat.message["created_at"],
            "updated_at": chat.message["created_at"], "unread_count": unread_count,
        });
        assert_eq!(chat.conversations_of(user).await, [expected]);
    }
    assert!(chat.conversations_of("eve").await.is_empty());
}

#[tokio::test]
async fn another_tenants_conversations_are_never_listed() {
    let (one, other) = (Chat::new().await, Chat::new().await);
    assert_eq!(ids(&one.conversations_of("ada").await), [one.conversation.as_str()]);
    assert_eq!(ids(&other.conversations_of("ada").await), [other.conversation.as_str()]);
}

#[tokio::test]
async fn the_newest_activity_comes_first_be_it_a_message_or_the_creation() {
    let mut chat = Chat::new().await;
    let first = chat.conversation.clone();
    let second = chat.converse(&["ada", "carl"]).await;
    let third = chat.converse(&["ada"]).await;
    assert_eq!(ids(&chat.conversations_of("ada").await), [&*third, &*second, &*first]);
    chat.send("bob", "back to the top").await;
    assert_eq!(ids(&chat.conversations_of("ada").await), [&*first, &*third, &*second]);
    chat.conversation.clone_from(&second);
    chat.send("carl", "now me").await;
    assert_eq!(ids(&chat.conversations_of("ada").await), [&*second, &*first, &*third]);
}

#[tokio::test]
async fn a_conversation_without_messages_has_no_preview_and_no_time() {
    let chat = Chat::new().await;
    chat.converse(&["carl"]).await;
    let conversation = &chat.conversations_of("carl").await[0];
    assert_keys(
        conversation,
        &[
            "id",
            "tenant_id",
            "kind",
            "external_ref",
            "participants",
            "status",
            "last_message",
            "last_at",
            "updated_at",
            "unread_count",
        ],
    );
    assert_eq!((&conversation["last_message"], &conversation["last_at"]), (&Value::Null, &Value::Null));
}

#[tokio::test]
async fn the_preview_follows_edits_and_deletions() {
    let chat = Chat::new().await;
    let newest = chat.send("bob", "second").await;
    assert_eq!(preview(&chat).await, "second");
    let path = chat.path(&format!("messages/{}", newest["id"].as_str().unwrap()));
    chat.call(Request::patch(&path, &json!({ "sender_id": "bob", "body": "edited" }))).await.ok();
    assert_eq!(preview(&chat).await, "edited");
    chat.call(Request::delete(&path, &json!({ "sender_id": "bob" }))).await.ok();
    assert_eq!(preview(&chat).await, "hello");
    chat.call(Request::delete(chat.message_path(), &json!({ "sender_id": "ada" }))).await.ok();
    assert_eq!(preview(&chat).await, Value::Null);
}

#[tokio::test]
async fn editing_an_older_message_leaves_the_preview() {
    let chat = Chat::new().await;
    chat.send("bob", "newest").await;
    chat.call(Request::patch(chat.message_path(), &json!({ "sender_id": "ada", "body": "older" })))
        .await
        .ok();
    assert_eq!(preview(&chat).await, "newest");
}

#[tokio::test]
async fn an_image_is_previewed_by_its_body_or_else_as_image() {
    let chat = Chat::new().await;
    let mut image =
        json!({ "sender_id": "ada", "message_type": "image", "media_url": "https://example.com/x.png" });
    chat.send_with(&image).await;
    assert_eq!(preview(&chat).await, "[image]");
    image["body"] = json!("the receipt");
    chat.send_with(&image).await;
    assert_eq!(preview(&chat).await, "the receipt");
}

#[tokio::test]
async fn at_most_100_are_listed_and_the_newest_at_that() {
    let chat = Chat::new().await;
    let made = join_all((0..101).map(|_| chat.converse(&["carl"]))).await;
    let listed = chat.conversations_of("carl").await;
    assert_eq!(listed.len(), 100);
    let newest = chat.converse(&["carl"]).await;
    let relisted = chat.conversations_of("carl").await;
    assert_eq!(ids(&relisted)[0], newest);
    assert_eq!(ids(&relisted)[1..], ids(&listed)[..99]);
    assert!(ids(&listed).iter().all(|id| made.iter().any(|made| made == id)));
}

#[tokio::test]
async fn kind_filters() {
    let chat = Chat::new().await;
    for kind in ["order", "support"] {
        let body = json!({ "kind": kind, "participants": ["ada"] });
        chat.call(Request::post("/v1/conversations", &body)).await.ok();
    }
    for kind in ["order", "support", "direct"] {
        let listed = chat.conversations_of(&format!("ada&kind={kind}")).await;
        assert_eq!(listed.iter().map(|conversation| &conversation["kind"]).collect::<Vec<_>>(), [kind]);
    }
    assert_eq!(chat.conversations_of("ada").await.len(), 3);
}

#[tokio::test]
async fn a_user_id_may_hold_any_character() {
    let chat = Chat::new().await;
    for (user, encoded) in [
        ("a b", "a%20b"),
        ("a b", "a+b"),
        ("a+b&c=d", "a%2Bb%26c%3Dd"),
        ("50%", "50%25"),
        ("ädä💬", "%C3%A4d%C3%A4%F0%9F%92%AC"),
        ("a,b", "a,b"),
        ("{\"a\"}", "%7B%22a%22%7D"),
        ("' or true --", "%27%20or%20true%20--"),
    ] {
        let id = chat.converse(&[user]).await;
        assert_eq!(ids(&chat.conversations_of(encoded).await)[0], id, "{user}");
    }
}

#[tokio::test]
async fn a_bad_query_answers_400() {
    let chat = Chat::new().await;
    let unknown_kind = "kind must be one of order, support, direct";
    for (query, text) in [
        ("", "user_id is required"),
        ("?user_id=", "user_id is required"),
        ("?kind=order", "user_id is required"),
        ("?user_id=a%00b", "user_id must not contain NUL"),
        (&format!("?user_id={}", "x".repeat(256)), "user_id is too long"),
        ("?user_id=ada&kind=group", unknown_kind),
        ("?user_id=ada&kind=ORDER", unknown_kind),
    ] {
        chat.refuses(Request::get(format!("/v1/conversations{query}")), 400, text).await;
    }
}

#[tokio::test]
async fn a_bad_query_with_a_bad_key_answers_401() {
    let chat = Chat::new().await;
    chat.refuses(Request::get("/v1/conversations").with_key("pk_"), 401, "invalid api key").await;
}

#[tokio::test]
async fn the_time_is_that_of_the_newest_message() {
    let chat = Chat::new().await;
    let newest = chat.send("bob", "second").await;
    let conversation = &chat.conversations_of("ada").await[0];
    assert_time(&conversation["last_at"]);
    assert_eq!(conversation["last_at"], newest["created_at"]);
}

#[tokio::test]
async fn a_preview_is_the_first_200_characters_whatever_their_size() {
    let chat = Chat::new().await;
    chat.send("bob", &"💬".repeat(200)).await;
    assert_eq!(preview(&chat).await, "💬".repeat(200));
    chat.send("bob", &"ä💬".repeat(5_000)).await;
    assert_eq!(preview(&chat).await, "ä💬".repeat(100));
}

/// Lambda returns no response of more than 6 MB, and API Gateway responds with 500.
#[tokio::test]
async fn a_list_of_the_longest_conversations_stops_at_5_mb() {
    let chat = Chat::new().await;
    let mut participants: Vec<_> = (100..199).map(|n| format!("{n}{}", "💬".repeat(252))).collect();
    participants.push("carl".to_owned());
    let participants: Vec<_> = participants.iter().map(String::as_str).collect();
    join_all((0..60).map(|_| chat.converse(&participants))).await;
    let response = chat.call(Request::get("/v1/conversations?user_id=carl")).await;
    let listed = response.ok()["conversations"].as_array().unwrap().len();
    assert!((4_800_000..5_010_000).contains(&response.body.len()) && listed < 60, "{listed}");
}

/// Returns the ids of all pages of a list, in their order.
async fn pages(chat: &Chat, query: &str) -> Vec<String> {
    let (mut all, mut cursor) = (Vec::new(), String::new());
    loop {
        let response = chat.call(Request::get(format!("/v1/conversations?{query}{cursor}"))).await.ok();
        let page = response["conversations"].as_array().unwrap();
        all.extend(ids(page).into_iter().map(str::to_owned));
        match response["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return all,
        }
    }
}

#[tokio::test]
async fn pages_of_any_size_make_the_whole_list_also_where_times_are_equal() {
    let chat = Chat::new().await;
    for kind in ["order", "support", "direct"].iter().cycle().take(23) {
        let body = json!({ "kind": kind, "participants": ["carl"] });
        chat.call(Request::post("/v1/conversations", &body)).await.ok();
    }
    let whole = pages(&chat, "user_id=carl").await;
    assert_eq!(whole.len(), 23);
    let blur = "update tinychat.participants set active_at = date_trunc('minute', active_at) + n * interval '1 s'
        from (select conversation_id as id, row_number() over () / 5 as n from tinychat.participants where user_id = 'carl'
            and tenant_id = $1) numbered
        where tenant_id = $1 and conversation_id = id";
    for _ in 0..2 {
        let whole = pages(&chat, "user_id=carl").await;
        for limit in [1, 2, 7, 22, 23, 24, 200] {
            assert_eq!(pages(&chat, &format!("user_id=carl&limit={limit}")).await, whole, "{limit}");
        }
        chat.db.execute(blur, &[&chat.tenant]).await.unwrap();
    }
}

#[tokio::test]
async fn more_than_a_page_of_100_goes_on_at_its_cursor() {
    let chat = Chat::new().await;
    join_all((0..101).map(|_| chat.converse(&["carl"]))).await;
    for limit in ["", "&limit=101", "&limit=0100", "&limit=99999999999999999999"] {
        let response = chat.call(Request::get(format!("/v1/conversations?user_id=carl{limit}"))).await.ok();
        assert_eq!(response["conversations"].as_array().unwrap().len(), 100, "{limit}");
        let path = format!("/v1/conversations?user_id=carl&cursor={}", response["next"].as_str().unwrap());
        let rest = chat.call(Request::get(path)).await.ok();
        assert_eq!((rest["conversations"].as_array().unwrap().len(), &rest["next"]), (1, &Value::Null));
    }
}

#[tokio::test]
async fn a_list_that_stops_at_5_mb_goes_on_at_its_cursor() {
    let chat = Chat::new().await;
    let mut participants: Vec<_> = (100..199).map(|n| format!("{n}{}", "💬".repeat(252))).collect();
    participants.push("carl".to_owned());
    let participants: Vec<_> = participants.iter().map(String::as_str).collect();
    join_all((0..60).map(|_| chat.converse(&participants))).await;
    assert_eq!(pages(&chat, "user_id=carl").await.len(), 60);
}

#[tokio::test]
async fn a_conversation_is_found_by_its_reference() {
    let chat = Chat::new().await;
    let create = async |kind, participant| {
        let body = json!({ "kind": kind, "external_ref": "ref 1", "participants": [participant] });
        let response = chat.call(Request::post("/v1/conversations", &body)).await.ok();
        response["conversation"]["id"].as_str().unwrap().to_owned()
    };
    let order = create("order", "ada").await;
    let support = create("support", "ada").await;
    create("direct", "bob").await;
    let find = async |query: &str| pages(&chat, &format!("user_id=ada&external_ref=ref+1{query}")).await;
    assert_eq!(find("&kind=order").await, [order.as_str()]);
    assert_eq!(find("").await, [support, order]);
    assert_eq!(find("&kind=direct").await, [""; 0]);
    assert_eq!(pages(&chat, "user_id=ada&external_ref=ref").await, [""; 0]);
    assert_eq!(pages(&chat, "user_id=ada&external_ref=").await.len(), 3, "an empty one filters nothing");
}

#[tokio::test]
async fn status_filters_whatever_else_does_and_pages_of_any_size_make_the_whole() {
    let mut chat = Chat::new().await;
    let (mut all, mut closed) = (vec![chat.conversation.clone()], Vec::new());
    for n in 0..11 {
        let kind = ["order", "support", "direct"][n % 3];
        let body =
            json!({ "kind": kind, "external_ref": format!("ref {n}"), "participants": ["ada", "bob"] });
        let response = chat.call(Request::post("/v1/conversations", &body)).await.ok();
        response["conversation"]["id"].as_str().unwrap().clone_into(&mut chat.conversation);
        all.insert(0, chat.conversation.clone());
        if n % 2 == 0 {
            chat.send("bob", "unread").await;
        }
        if n % 4 < 2 {
            chat.update(&json!({ "status": "closed" })).await;
            closed.push(chat.conversation.clone());
        }
    }
    let both = pages(&chat, "user_id=ada").await;
    assert_eq!(both, all, "a change of status is no activity");
    for status in ["open", "closed"] {
        let expected: Vec<_> =
            all.iter().filter(|id| closed.contains(id) == (status == "closed")).cloned().collect();
        for limit in [1, 2, 5, 100] {
            let query = format!("user_id=ada&status={status}&limit={limit}");
            assert_eq!(pages(&chat, &query).await, expected, "{query}");
        }
        for filter in ["&kind=order", "&unread=true", "&kind=support&unread=true", "&external_ref=ref+4"] {
            let of_both = pages(&chat, &format!("user_id=ada{filter}")).await;
            let expected: Vec<_> = of_both.into_iter().filter(|id| expected.contains(id)).collect();
            assert_eq!(pages(&chat, &format!("user_id=ada&status={status}{filter}")).await, expected);
        }
    }
    chat.conversation.clone_from(&closed[0]);
    chat.update(&json!({ "status": "open" })).await;
    assert!(pages(&chat, "user_id=ada&status=open").await.contains(&closed[0]));
}

#[tokio::test]
async fn only_what_is_unread_is_listed_if_asked_for() {
    let mut chat = Chat::new().await;
    let first = chat.conversation.clone();
    chat.conversation = chat.converse(&["ada", "bob"]).await;
    let deleted = chat.send("ada", "never mind").await;
    let path = chat.path(&format!("messages/{}", deleted["id"].as_str().unwrap()));
    chat.call(Request::delete(path, &json!({ "sender_id": "ada" }))).await.ok();
    chat.converse(&["ada", "bob"]).await;
    assert_eq!(pages(&chat, "user_id=bob&unread=true").await, [first.as_str()]);
    assert_eq!(pages(&chat, "user_id=bob&unread=true&limit=1").await, [first]);
    assert_eq!(pages(&chat, "user_id=ada&unread=true").await, [""; 0]);
}

#[tokio::test]
async fn a_bad_value_answers_400() {
    let chat = Chat::new().await;
    chat.converse(&["ada"]).await;
    let response = chat.call(Request::get("/v1/conversations?user_id=ada&limit=1")).await.ok();
    let next = response["next"].as_str().unwrap();
    for (name, values) in [
        ("limit", &["", "0", "-1", "1.5", "ten", "%00"][..]),
        ("unread", &["", "false", "1", "TRUE"]),
        ("status", &["", "opened", "Open"]),
        (
            "cursor",
            &[
                "",
                "x",
                "%00",
                "💬",
                &next[1..],
                &format!("{next}="),
                &format!("{next}{next}"),
                &next.to_lowercase(),
            ],
        ),
    ] {
        for value in values {
            let request = Request::get(format!("/v1/conversations?user_id=ada&{name}={value}"));
            chat.refuses(request.clone(), 400, &format!("{name} is invalid")).await;
            chat.refuses(request.with_key("pk_"), 401, "invalid api key").await;
        }
    }
}
