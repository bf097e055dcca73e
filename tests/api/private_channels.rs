//! Conversations as private channels: with `REALTIME_PRIVATE=true`, the public key can listen but can't broadcast.

use serde_json::{Value, json};
use support::lambda::event;
use support::{Channel, Chat, Database, Function};

const PRIVATE: [(&str, &str); 1] = [("REALTIME_PRIVATE", "true")];

/// Returns a function's event in events/, changed to belong to this chat.
fn event_in(chat: &Chat, function: &str) -> Value {
    let mut event = event(function);
    event["headers"]["x-tinychat-api-key"] = json!(chat.key);
    event["pathParameters"]["id"] = json!(chat.conversation);
    event
}

#[tokio::test]
async fn listeners_on_the_private_channel_hear_and_those_on_the_public_one_do_not() {
    let chat = Chat::without_messages().await;
    let mut private = Channel::join_private(&chat.conversation).await;
    let mut public = Channel::join(&chat.conversation).await;
    for (function, heard) in [("send-message", "message"), ("send-typing", "typing")] {
        let mut process = Function::start(function, &PRIVATE).await;
        let (status, response) = process.call(event_in(&chat, function)).await;
        assert_eq!(status, 200, "{response}");
        let payload = private.next(heard).await;
        assert!(heard == "typing" || payload == response, "{payload}");
        process.settle().await;
    }
    public.is_silent().await;
}

#[tokio::test]
async fn a_look_alike_sent_with_the_public_key_reaches_nobody() {
    let chat = Chat::without_messages().await;
    let mut listener = Channel::join_private(&chat.conversation).await;
    let mut impostor = Channel::join_private(&chat.conversation).await;
    impostor.broadcast("message", &json!({ "message": { "body": "I am the driver" } })).await;
    impostor.is_silent().await; // the server has handled it
    listener.is_silent().await;
}

#[tokio::test]
async fn other_private_channels_are_closed_to_the_public_key() {
    let (_, reply) = Channel::ask_to_join("orders", "2.0.0", true).await;
    assert_eq!(reply["status"], "error", "{reply}");
}

#[tokio::test]
async fn clients_are_told_that_channels_are_private() {
    let mut function = Function::start("get-config", &PRIVATE).await;
    assert_eq!(function.call(event("get-config")).await.1["realtime"]["private"], true);
}

/// The parts of Supabase that the migration uses and a plain Postgres lacks.
const SUPABASE: &str = "
    do $$ begin
        create role anon; create role authenticated;
    exception when duplicate_object then null; end $$;
    create schema realtime;
    create table realtime.messages (topic text, extension text);
    alter table realtime.messages enable row level security;
    create function realtime.topic() returns text language sql return current_setting('realtime.topic');
    grant usage on schema realtime to anon;
    grant select, insert on realtime.messages to anon;
    insert into realtime.messages values ('conv:1', 'broadcast'), ('conv:1', 'presence')";

#[tokio::test]
async fn in_supabase_the_public_role_reads_broadcasts_of_conversations_and_writes_none() {
    let chat = Chat::without_messages().await;
    let database = Database::with(&chat, SUPABASE).await;
    let db = &database.client;
    for (topic, seen) in [("conv:1", 1_i64), ("orders", 0)] {
        let ask = format!("set realtime.topic = '{topic}'; set role anon");
        db.batch_execute(&ask).await.unwrap();
        let rows = db.query_one("select count(*) from realtime.messages", &[]).await.unwrap();
        assert_eq!(rows.get::<_, i64>(0), seen, "{topic}");
        let sent = db.batch_execute("insert into realtime.messages values ('conv:1', 'broadcast')").await;
        assert_eq!(sent.unwrap_err().code().unwrap().code(), "42501");
    }
    database.drop(&chat).await;
}
