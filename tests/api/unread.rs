//! Unread counts and the list of unread conversations, compared with a simple model over random histories.

use serde_json::{Value, json};
use std::collections::BTreeMap;
use support::{Chat, Request};

const USERS: [&str; 3] = ["ada", "bob", "cleo"];

/// A message in the model. Its position in the conversation stands for its time.
struct Sent {
    id: Value,
    sender: &'static str,
    deleted: bool,
}

/// A conversation, and the number of messages that each user has read.
#[derive(Default)]
struct Model {
    messages: Vec<Sent>,
    read: BTreeMap<&'static str, usize>,
}

impl Model {
    fn unread(&self, user: &str) -> usize {
        let later = self.messages.iter().skip(self.read.get(user).copied().unwrap_or_default());
        later.filter(|message| message.sender != user && !message.deleted).count().min(100)
    }

    fn read_to(&mut self, user: &'static str, place: usize) {
        let read = self.read.entry(user).or_default();
        *read = place.max(*read);
    }
}

/// Returns the unread counts in a user's list, read in pages of this size.
async fn counts(chat: &Chat, user: &str, query: &str, limit: usize) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    let mut cursor = String::new();
    loop {
        let path = format!("/v1/conversations?user_id={user}&limit={limit}{query}{cursor}");
        let response = chat.call(Request::get(path)).await.ok();
        for conversation in response["conversations"].as_array().unwrap() {
            let id = conversation["id"].as_str().unwrap().to_owned();
            assert_eq!(counts.insert(id, conversation["unread_count"].as_u64().unwrap()), None);
        }
        let Some(next) = response["next"].as_str() else { return counts };
        cursor = format!("&cursor={next}");
    }
}

/// Makes a random step in a conversation.
async fn step(chat: &Chat, random: &mut fastrand::Rng, model: &mut Model) {
    let user = USERS[random.usize(..3)];
    let some = random.usize(..model.messages.len().max(1));
    match (random.u8(..10), model.messages.get_mut(some)) {
        (0..=1, Some(message)) => {
            let path = chat.path(&format!("messages/{}", message.id.as_str().unwrap()));
            chat.call(Request::delete(path, &json!({ "sender_id": message.sender }))).await.ok();
            message.deleted = true;
        }
        (2, Some(message)) => {
            let body = json!({ "user_id": user, "message_id": message.id });
            chat.call(Request::post(chat.path("read"), &body)).await.ok();
            model.read_to(user, some + 1);
        }
        (3, _) => {
            chat.call(Request::post(chat.path("read"), &json!({ "user_id": user }))).await.ok();
            model.read_to(user, model.messages.len());
        }
        (4, Some(message)) if !message.deleted => {
            let path = chat.path(&format!("messages/{}", message.id.as_str().unwrap()));
            let edit = json!({ "sender_id": message.sender, "body": "edited" });
            chat.call(Request::patch(path, &edit)).await.ok();
        }
        // A participant who leaves and comes back has read everything.
        (5, _) => {
            chat.update(&json!({ "remove_participants": [user] })).await;
            chat.update(&json!({ "add_participants": [user] })).await;
            model.read_to(user, model.messages.len());
        }
        _ => {
            let id = chat.send(user, "x").await["id"].take();
            model.messages.push(Sent { id, sender: user, deleted: false });
            model.read_to(user, model.messages.len());
        }
    }
}

#[tokio::test]
async fn counts_and_lists_of_unread_messages_equal_those_of_a_model() {
    let seed = fastrand::u64(..);
    let mut random = fastrand::Rng::with_seed(seed);
    let mut chat = Chat::without_messages().await;
    let mut models = BTreeMap::new();
    for _ in 0..4 {
        models.insert(chat.converse(&USERS).await, Model::default());
    }
    let ids: Vec<_> = models.keys().cloned().collect();
    for n in 0..240 {
        chat.conversation.clone_from(&ids[random.usize(..4)]);
        step(&chat, &mut random, models.get_mut(&chat.conversation).unwrap()).await;
        if n % 12 != 0 {
            continue;
        }
        for user in USERS {
            let all = models.iter().map(|(id, model)| (id.clone(), model.unread(user) as u64));
            let mut listed = counts(&chat, user, "", 1 + n % 5).await;
            listed.retain(|id, _| ids.contains(id));
            assert_eq!(listed, all.clone().collect(), "seed {seed}, step {n}, {user}");
            let unread: BTreeMap<_, _> = all.filter(|(_, count)| *count > 0).collect();
            let listed = counts(&chat, user, "&unread=true", 1 + n % 5).await;
            assert_eq!(listed, unread, "seed {seed}, step {n}, {user}, unread alone");
        }
    }
}

#[tokio::test]
async fn a_hundred_stands_for_more() {
    let chat = Chat::new().await;
    let send = "insert into tinychat.messages (conversation_id, id, sender_id, body, message_type, created_at)
        select $1::text::uuid, gen_random_uuid(), 'ada', 'x', 'text', date_trunc('second', now()) + n * interval '1 s'
        from generate_series(1, 150) n";
    chat.db.execute(send, &[&chat.conversation]).await.unwrap();
    assert_eq!(chat.conversations_of("bob").await[0]["unread_count"], 100);
}
