//! Inbox channels, with `REALTIME_INBOX=true`: a user gets the events of all conversations on one channel.

use serde_json::{Value, json};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use support::lambda::{event, event_of};
use support::token_key::TokenKey;
use support::{Channel, Chat, Function, Request, setting};
use uuid::Uuid;

const INBOX: [(&str, &str); 1] = [("REALTIME_INBOX", "true")];

/// Processes of functions with inboxes. They live as long as the test, because they broadcast after their responses.
#[derive(Default)]
struct Functions(HashMap<&'static str, Function>);

impl Functions {
    /// Sends a request to a function. Returns the response.
    async fn call(&mut self, name: &'static str, chat: &Chat, request: &Request) -> Value {
        let process = match self.0.entry(name) {
            Entry::Occupied(running) => running.into_mut(),
            Entry::Vacant(place) => place.insert(Function::start(name, &INBOX).await),
        };
        let (status, response) = process.call(event_of(name, chat, request)).await;
        assert_eq!(status, 200, "{name}: {response}");
        response
    }

    /// Waits until all processes have sent their broadcasts.
    async fn settle(&mut self) {
        for process in self.0.values_mut() {
            process.settle().await;
        }
    }
}

/// Asserts that this is the next event on all channels.
async fn hear(channels: &mut [Channel], event: &str, payload: &Value) {
    for channel in channels {
        assert_eq!(channel.next(event).await, *payload);
    }
}

fn send(chat: &Chat) -> Request {
    Request::post(chat.path("messages"), &json!({ "sender_id": "ada", "body": "hi" }))
}

fn create(participants: &[String]) -> Request {
    let body = json!({ "kind": "order", "external_ref": "order_1", "participants": participants });
    Request::post("/v1/conversations", &body)
}

/// Returns the ids of this number of users who aren't registered.
fn strangers(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("stranger_{n}")).collect()
}

#[tokio::test]
async fn what_happens_in_a_conversation_reaches_its_channel_and_the_inboxes_of_its_participants() {
    let mut functions = Functions::default();
    let mut chat = Chat::without_messages().await;
    let (ada, bob) = (chat.register("ada").await, chat.register("bob").await);
    let eve = chat.register("eve").await;
    let stranger = Chat::without_messages().await;
    let namesake = stranger.register("ada").await;
    let mut all = [
        Channel::join(&chat.conversation).await,
        Channel::join_inbox(&ada).await,
        Channel::join_inbox(&bob).await,
    ];
    let mut none = [Channel::join_inbox(&eve).await, Channel::join_inbox(&namesake).await];

    let sent = functions.call("send-message", &chat, &send(&chat)).await;
    hear(&mut all, "message", &sent).await;
    chat.message = sent["message"].clone();
    let edit = Request::patch(chat.message_path(), &json!({ "sender_id": "ada", "body": "edited" }));
    let edited = functions.call("edit-message", &chat, &edit).await;
    hear(&mut all, "message", &edited).await;
    let read = Request::post(chat.path("read"), &json!({ "user_id": "bob" }));
    let mut read = functions.call("mark-read", &chat, &read).await;
    read["read"].as_object_mut().unwrap().remove("unread_count");
    hear(&mut all, "read", &read).await;
    let delete = Request::delete(chat.message_path(), &json!({ "sender_id": "ada" }));
    let deleted = functions.call("delete-message", &chat, &delete).await;
    hear(&mut all, "message", &deleted).await;
    functions.settle().await;
    for channel in all.iter_mut().chain(&mut none) {
        channel.is_silent().await;
    }
}

#[tokio::test]
async fn typing_stays_on_the_conversations_channel() {
    let mut functions = Functions::default();
    let chat = Chat::without_messages().await;
    let mut inbox = Channel::join_inbox(&chat.register("bob").await).await;
    let mut channel = Channel::join(&chat.conversation).await;
    functions
        .call("send-typing", &chat, &Request::post(chat.path("typing"), &json!({ "sender_id": "ada" })))
        .await;
    functions.settle().await;
    channel.next("typing").await;
    inbox.is_silent().await;
}

#[tokio::test]
async fn what_changes_nothing_is_no_event() {
    let mut functions = Functions::default();
    let mut chat = Chat::new().await;
    let mut inbox = Channel::join_inbox(&chat.register("bob").await).await;
    let once = send(&chat).with_field("client_message_id", "c1");
    let sent = functions.call("send-message", &chat, &once).await;
    assert_eq!(inbox.next("message").await, sent);
    assert_eq!(functions.call("send-message", &chat, &once).await, sent);
    let read = Request::post(chat.path("read"), &json!({ "user_id": "bob" }));
    functions.call("mark-read", &chat, &read).await;
    inbox.next("read").await;
    functions.call("mark-read", &chat, &read).await;
    chat.message = sent["message"].clone();
    let delete = Request::delete(chat.message_path(), &json!({ "sender_id": "ada" }));
    let deleted = functions.call("delete-message", &chat, &delete).await;
    assert_eq!(inbox.next("message").await, deleted);
    functions.call("delete-message", &chat, &delete).await;
    functions.settle().await;
    inbox.is_silent().await;
}

#[tokio::test]
async fn a_new_conversation_reaches_the_inboxes_of_its_participants_once() {
    let mut functions = Functions::default();
    let chat = Chat::without_messages().await;
    let mut inboxes = [
        Channel::join_inbox(&chat.register("ada").await).await,
        Channel::join_inbox(&chat.register("bob").await).await,
    ];
    let mut other = Channel::join_inbox(&chat.register("eve").await).await;
    let request = create(&["ada".into(), "bob".into(), "nobody".into()]);
    let created = functions.call("create-conversation", &chat, &request).await;
    assert_eq!(functions.call("create-conversation", &chat, &request).await, created);
    functions.settle().await;
    for inbox in &mut inboxes {
        assert_eq!(inbox.next("conversation").await, created);
        inbox.is_silent().await;
    }
    other.is_silent().await;
}

#[tokio::test]
async fn who_joins_who_stays_and_who_is_removed_hears_of_the_change() {
    let mut functions = Functions::default();
    let chat = Chat::without_messages().await;
    let mut inboxes = Vec::new();
    for user in ["ada", "bob", "eve"] {
        inboxes.push(Channel::join_inbox(&chat.register(user).await).await);
    }
    let mut other = Channel::join_inbox(&chat.register("dan").await).await;
    let key = format!("sk_test_{}", Uuid::new_v4().simple());
    chat.add_secret_key(&key).await;
    // dan is no participant, so removing him changes nothing.
    let change =
        json!({ "add_participants": ["eve"], "remove_participants": ["bob", "dan"], "status": "closed" });
    let change = Request::patch(format!("/v1/conversations/{}", chat.conversation), &change).with_key(&key);
    let changed = functions.call("update-conversation", &chat, &change).await;
    assert_eq!(functions.call("update-conversation", &chat, &change).await, changed);
    hear(&mut inboxes, "conversation", &changed).await;
    functions.settle().await;
    for inbox in inboxes.iter_mut().chain([&mut other]) {
        inbox.is_silent().await;
    }
}

#[tokio::test]
async fn more_than_20_participants_have_the_conversations_channel_alone() {
    let mut functions = Functions::default();
    for (count, has_inboxes) in [(20, true), (21, false)] {
        let mut chat = Chat::without_messages().await;
        let mut inbox = Channel::join_inbox(&chat.register("ada").await).await;
        let participants = [vec!["ada".to_owned()], strangers(count - 1)].concat();
        let created = functions.call("create-conversation", &chat, &create(&participants)).await;
        chat.conversation = created["conversation"]["id"].as_str().unwrap().to_owned();
        let mut channel = Channel::join(&chat.conversation).await;
        let sent = functions.call("send-message", &chat, &send(&chat)).await;
        assert_eq!(channel.next("message").await, sent);
        if has_inboxes {
            assert_eq!(inbox.next("conversation").await, created);
            assert_eq!(inbox.next("message").await, sent);
        }
        functions.settle().await;
        inbox.is_silent().await;
    }
}

#[tokio::test]
async fn without_the_setting_there_are_no_inboxes() {
    let chat = Chat::without_messages().await;
    let mut inbox = Channel::join_inbox(&chat.register("bob").await).await;
    let mut channel = Channel::join(&chat.conversation).await;
    let settings: [&[(&str, &str)]; 3] = [&[], &[("REALTIME_INBOX", "")], &[("REALTIME_INBOX", "false")]];
    for changes in settings {
        let create = create(&["ada".into(), "bob".into()]).without_field("external_ref");
        for (function, request) in [("create-conversation", create), ("send-message", send(&chat))] {
            let mut process = Function::start(function, changes).await;
            assert_eq!(process.call(event_of(function, &chat, &request)).await.0, 200);
            process.settle().await;
        }
        channel.next("message").await;
        let mut config = Function::start("get-config", changes).await;
        let (_, response) = config.call(event("get-config")).await;
        assert!(response["realtime"].get("user_channel_prefix").is_none(), "{response}");
    }
    inbox.is_silent().await;
    for function in ["send-message", "create-conversation", "get-config"] {
        let error = Function::start_up_error(function, &[("REALTIME_INBOX", "1")]).await;
        assert!(error.contains("REALTIME_INBOX must be `true` or `false`"), "{error}");
    }
}

#[tokio::test]
async fn clients_are_told_what_the_names_of_inbox_channels_begin_with() {
    let mut process = Function::start("get-config", &INBOX).await;
    let (_, response) = process.call(event("get-config")).await;
    assert_eq!(response["realtime"]["user_channel_prefix"], "user:");
    assert_eq!(response["realtime"]["channel_prefix"], "conv:");
}

async fn access_token(chat: &Chat, credential: &str) -> String {
    let response = chat.call(Request::get("/v1/config").with_key(credential)).await.ok();
    response["realtime"]["access_token"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn where_tokens_are_required_a_users_inbox_is_open_to_that_user_alone() {
    let mut functions = Functions::default();
    let chat = Chat::without_messages().await;
    let key = TokenKey::new(&chat).await;
    let bob = chat.register("bob").await;
    chat.require_tokens().await;
    let other = Chat::without_messages().await;
    let others_key = TokenKey::new(&other).await;
    let (mut inbox, reply) =
        Channel::ask_for_inbox_as(&bob, &access_token(&chat, &key.token("bob")).await).await;
    assert_eq!(reply["status"], "ok", "{reply}");
    for token in [
        access_token(&chat, &key.token("ada")).await,
        access_token(&chat, &key.token_as("sam", "support")).await,
        access_token(&chat, &key.token_as("root", "admin")).await,
        access_token(&other, &others_key.token("bob")).await,
        setting("SUPABASE_ANON_KEY"),
    ] {
        let (_, reply) = Channel::ask_for_inbox_as(&bob, &token).await;
        assert_eq!(reply["status"], "error", "{token}: {reply}");
    }
    let mut public = Channel::join_inbox(&bob).await;

    let message =
        Request::post(chat.path("messages"), &json!({ "body": "for us" })).with_key(key.token("ada"));
    let sent = functions.call("send-message", &chat, &message).await;
    let create = create(&["ada".into(), "bob".into()]).with_key(key.token("ada"));
    let created = functions.call("create-conversation", &chat, &create).await;
    assert_eq!(inbox.next("message").await, sent);
    assert_eq!(inbox.next("conversation").await, created);
    functions.settle().await;
    public.is_silent().await;
}

#[tokio::test]
async fn elsewhere_a_private_inbox_is_open_to_who_knows_its_users_id() {
    let chat = Chat::without_messages().await;
    let bob = chat.register("bob").await;
    let anon = setting("SUPABASE_ANON_KEY");
    let (mut private, reply) = Channel::ask_for_inbox_as(&bob, &anon).await;
    assert_eq!(reply["status"], "ok", "{reply}");
    for name in
        [Uuid::new_v4().to_string(), "bob".to_owned(), String::new(), format!("{bob} "), bob.to_uppercase()]
    {
        let (_, reply) = Channel::ask_for_inbox_as(&name, &anon).await;
        assert_eq!(reply["status"], "error", "{name:?}: {reply}");
    }
    let mut process = Function::start("send-message", &[INBOX[0], ("REALTIME_PRIVATE", "true")]).await;
    let (_, sent) = process.call(event_of("send-message", &chat, &send(&chat))).await;
    assert_eq!(private.next("message").await, sent);
}

#[tokio::test]
async fn while_tokens_are_optional_apps_with_and_without_them_have_inboxes() {
    let mut functions = Functions::default();
    let chat = Chat::without_messages().await;
    let key = TokenKey::new(&chat).await;
    let bob = chat.register("bob").await;
    let (mut private, reply) =
        Channel::ask_for_inbox_as(&bob, &access_token(&chat, &key.token("bob")).await).await;
    assert_eq!(reply["status"], "ok", "{reply}");
    let mut public = Channel::join_inbox(&bob).await;
    let sent = functions.call("send-message", &chat, &send(&chat)).await;
    functions.settle().await;
    for inbox in [&mut private, &mut public] {
        assert_eq!(inbox.next("message").await, sent);
        inbox.is_silent().await;
    }
}

#[tokio::test]
async fn the_longest_message_reaches_twenty_inboxes() {
    let mut functions = Functions::default();
    let mut chat = Chat::without_messages().await;
    let inboxes = strangers(20);
    let mut last = Channel::join_inbox(&chat.register(&inboxes[19]).await).await;
    for user in &inboxes[..19] {
        chat.register(user).await;
    }
    TokenKey::new(&chat).await; // so events go to public and private channels
    chat.conversation = functions.call("create-conversation", &chat, &create(&inboxes)).await["conversation"]
        ["id"]
        .as_str()
        .unwrap()
        .to_owned();
    last.next("conversation").await;
    let body = "\u{1}".repeat(10_000);
    let longest = Request::post(chat.path("messages"), &json!({ "sender_id": "stranger_0", "body": body }));
    let sent = functions.call("send-message", &chat, &longest).await;
    assert_eq!(last.next("message").await, sent);
}
