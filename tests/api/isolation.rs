//! Two tenants, and every id that a route takes: whatever the one asks for, it learns and changes nothing of the other's.
//!
//! The routes are those of template.yaml, and of each request every combination is tried: an id of one's own, the other
//! tenant's, and one that names nothing. The last two must be answered alike, to the byte.

use crate::support::{Channel, Chat, Request, Response, setting};
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// A route's method and path.
pub type Route = (String, String);

/// What takes an id's place in a request.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Whose {
    Own,
    Foreign,
    Absent,
}

/// An id for each slot: `{id}` and `{msgId}` of the path, and those of query and body.
pub type Ids = BTreeMap<&'static str, String>;

/// Whose id is in each slot of a request.
type Choice = BTreeMap<&'static str, Whose>;

/// The slots that ids can be in.
const SLOTS: [&str; 6] = ["id", "msgId", "reply_to", "user_id", "external_ref", "client_message_id"];

/// The routes of template.yaml, all of which it writes in one line.
pub fn routes() -> Vec<Route> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../template.yaml");
    let template = std::fs::read_to_string(path).unwrap();
    let value = |line: &str, key: &str| {
        let rest = line.split_once(key)?.1;
        Some(rest.split([',', ' ']).next()?.trim_matches('"').to_owned())
    };
    let routes: Vec<_> = template
        .lines()
        .filter_map(|line| Some((value(line, " Method: ")?, value(line, " Path: ")?)))
        .collect();
    assert_eq!(routes.len(), template.matches("Type: HttpApi").count(), "a route is written differently");
    routes
}

/// The query and the JSON body that a route takes, with slots for ids.
pub fn example(method: &str, path: &str) -> (&'static str, Value) {
    match (method, path) {
        ("GET", "/v1/config" | "/v1/conversations/{id}" | "/v1/conversations/{id}/messages")
        | ("ANY", "$default") => ("", Value::Null),
        ("POST", "/v1/users") => ("", json!({ "user_id": "{user_id}" })),
        ("GET", "/v1/conversations") => {
            ("?user_id={user_id}&kind=order&external_ref={external_ref}", Value::Null)
        }
        ("POST", "/v1/conversations") => {
            ("", json!({ "kind": "order", "external_ref": "{external_ref}", "participants": ["{user_id}"] }))
        }
        ("POST", "/v1/conversations/{id}/messages") => (
            "",
            json!({
                "sender_id": "{user_id}", "body": "hi", "reply_to": "{reply_to}",
                "client_message_id": "{client_message_id}",
            }),
        ),
        ("PATCH", "/v1/conversations/{id}/messages/{msgId}") => {
            ("", json!({ "sender_id": "{user_id}", "body": "edited" }))
        }
        ("PATCH", "/v1/conversations/{id}") => ("", json!({ "status": "open" })),
        ("DELETE", "/v1/conversations/{id}/messages/{msgId}") | ("POST", "/v1/conversations/{id}/typing") => {
            ("", json!({ "sender_id": "{user_id}" }))
        }
        ("POST", "/v1/conversations/{id}/read") => {
            ("", json!({ "user_id": "{user_id}", "message_id": "{msgId}" }))
        }
        ("POST", "/v1/conversations/{id}/upload") => ("", json!({ "content_type": "image/png", "size": 42 })),
        _ => panic!("{method} {path} is new: say here which ids it takes"),
    }
}

/// Whether a route is for the tenant's backend and staff only.
pub fn is_servers(method: &str, path: &str) -> bool {
    (method, path) == ("PATCH", "/v1/conversations/{id}")
}

/// The request of a route's example, with these ids in its slots.
pub fn fill(method: &str, path: &str, query: &str, body: &Value, ids: &Ids) -> Request {
    let fill = |text: &str| {
        ids.iter().fold(text.to_owned(), |text, (slot, id)| text.replace(&format!("{{{slot}}}"), id))
    };
    let path = if path == "$default" { "/v1/nothing" } else { path };
    let request = Request {
        method: Method::from_bytes(method.replace("ANY", "GET").as_bytes()).unwrap(),
        ..Request::get(fill(&format!("{path}{query}")))
    };
    let request = if is_servers(method, path) { request.with_secret_key() } else { request };
    if body.is_null() { request } else { request.body("application/json", fill(&body.to_string())) }
}

/// Every choice for the slots that a text has.
fn choices(text: &str) -> Vec<Choice> {
    let mut all = vec![Choice::new()];
    for slot in SLOTS.into_iter().filter(|slot| text.contains(&format!("{{{slot}}}"))) {
        let with = |whose| {
            all.iter().map(move |choice: &Choice| {
                let mut choice = choice.clone();
                choice.insert(slot, whose);
                choice
            })
        };
        all = [Whose::Own, Whose::Foreign, Whose::Absent].into_iter().flat_map(with).collect();
    }
    all
}

/// A tenant with all that there can be: its chat, and the ids that are only its own.
struct Tenant {
    chat: Chat,
    ids: Ids,
    /// The chat's, on which nothing is under way.
    channel: Channel,
}

impl Tenant {
    async fn new() -> Self {
        let chat = Chat::without_messages().await;
        let mut channel = Channel::join(&chat.conversation).await;
        let [user, external_ref, client_message_id] =
            ["user", "ref", "client"].map(|name| format!("{name}-{}", Uuid::new_v4()));
        let endpoint = "insert into tinychat.webhook_endpoints (id, tenant_id, url, events, secret)
            values ($1, $2, 'http://127.0.0.1:9/', '{message.created,message.updated,message.deleted}', 'whsec_')";
        chat.db.execute(endpoint, &[&Uuid::new_v4(), &chat.tenant]).await.unwrap();
        let order = json!({ "kind": "order", "external_ref": external_ref, "participants": [user, "ada"] });
        chat.call(Request::post("/v1/conversations", &order)).await.ok();
        let about =
            json!({ "user_id": user, "name": format!("Name of {user}"), "email": format!("{user}@x.co") });
        chat.call(Request::post("/v1/users", &about)).await.ok();
        let first = chat.send_with(&json!({ "sender_id": user, "body": format!("first of {user}") })).await;
        let reply = json!({
            "sender_id": user, "body": format!("second of {user}"), "client_message_id": client_message_id,
        });
        let second = chat.send_with(&reply).await;
        let id = |message: &Value| message["id"].as_str().unwrap().to_owned();
        let ids = Ids::from([
            ("id", chat.conversation.clone()),
            ("msgId", id(&second)),
            ("reply_to", id(&first)),
            ("user_id", user),
            ("external_ref", external_ref),
            ("client_message_id", client_message_id),
        ]);
        channel.next("message").await;
        channel.next("message").await;
        Self { chat, ids, channel }
    }

    /// All that may not be found in an answer to someone else: ids, texts and times, as the API and Postgres write them.
    async fn secrets(&self) -> BTreeSet<String> {
        let mut secrets = BTreeSet::from([self.chat.tenant.to_string()]);
        collect(&self.chat.rows().await, &mut secrets);
        collect(&json!(self.chat.history("").await), &mut secrets);
        collect(&json!(self.chat.conversations_of(&self.ids["user_id"]).await), &mut secrets);
        secrets.into_iter().filter(|text| text.len() > 8).collect()
    }

    /// The events that were written for it.
    async fn events(&self) -> Vec<String> {
        let query = "select payload from tinychat.webhook_deliveries d
            join tinychat.webhook_endpoints w on w.id = d.endpoint_id where w.tenant_id = $1";
        let rows = self.chat.db.query(query, &[&self.chat.tenant]).await.unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    }

    /// The files that are stored for it.
    fn files(&self) -> usize {
        let folder =
            PathBuf::from(setting("DATA_DIR")).join("storage/chat").join(self.chat.tenant.to_string());
        std::fs::read_dir(folder).map_or(0, Iterator::count)
    }
}

/// The texts in a value.
fn collect(value: &Value, texts: &mut BTreeSet<String>) {
    match value {
        Value::String(text) => {
            texts.insert(text.clone());
        }
        Value::Array(values) => values.iter().for_each(|value| collect(value, texts)),
        Value::Object(fields) => fields.values().for_each(|value| collect(value, texts)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// A status and a body, without what differs whoever asks: new ids and times, and the ids that were asked with.
fn alike(response: &Response, asked_with: &Ids) -> (u16, String) {
    let body = String::from_utf8(response.body.clone()).unwrap();
    if response.status != 200 {
        return (response.status, body); // to the byte
    }
    let mut body: Value = serde_json::from_str(&body).unwrap();
    blur(&mut body, asked_with);
    (response.status, body.to_string())
}

fn blur(value: &mut Value, asked_with: &Ids) {
    match value {
        Value::String(text) => {
            let slot = asked_with.iter().find(|(_, id)| *id == text).map(|(slot, _)| *slot);
            let is_time = text.len() == 24 && text.ends_with('Z');
            if let Some(slot) = slot {
                slot.clone_into(text);
            } else if is_time || Uuid::try_parse(text).is_ok() || text.contains('/') {
                "new".clone_into(text);
            }
        }
        Value::Array(values) => values.iter_mut().for_each(|value| blur(value, asked_with)),
        Value::Object(fields) => fields.values_mut().for_each(|value| blur(value, asked_with)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[tokio::test]
async fn no_request_tells_or_changes_anything_of_another_tenant() {
    let (tenant, mut other) = (Tenant::new().await, Tenant::new().await);
    let nobody: Ids = SLOTS.map(|slot| (slot, Uuid::new_v4().to_string())).into();
    let secrets = other.secrets().await;
    let (rows, files) = (other.chat.rows().await, other.files());
    let mut tried = 0;
    for (method, path) in routes() {
        let (query, body) = example(&method, &path);
        let request = format!("{path}{query} {body}");
        let mut responses = BTreeMap::new();
        for choice in choices(&request) {
            let ids: Ids = choice
                .iter()
                .map(|(slot, whose)| {
                    let of = match whose {
                        Whose::Own => &tenant.ids,
                        Whose::Foreign => &other.ids,
                        Whose::Absent => &nobody,
                    };
                    (*slot, of[slot].clone())
                })
                .collect();
            let response = tenant.chat.call(fill(&method, &path, query, &body, &ids)).await;
            let text = String::from_utf8(response.body.clone()).unwrap();
            for secret in secrets.iter().filter(|secret| !ids.values().any(|id| id == *secret)) {
                assert!(!text.contains(secret.as_str()), "{method} {path} with {choice:?}: {text}");
            }
            responses.insert(choice, alike(&response, &ids));
            tried += 1;
        }
        for (choice, response) in &responses {
            let to_absent = |whose: Whose| if whose == Whose::Foreign { Whose::Absent } else { whose };
            let twin: Choice = choice.iter().map(|(slot, whose)| (*slot, to_absent(*whose))).collect();
            assert_eq!(*response, responses[&twin], "{method} {path} with {choice:?}");
        }
    }
    assert!(tried > 150, "{tried}");
    other.channel.is_silent().await;
    assert_eq!(other.chat.rows().await, rows);
    assert_eq!(other.files(), files);
    assert_eq!(other.events().await.len(), 2);
    let events = tenant.events().await;
    assert!(events.len() > 2);
    for secret in secrets.iter().filter(|secret| !other.ids.values().any(|id| id == *secret)) {
        assert!(!events.iter().any(|event| event.contains(secret.as_str())), "{secret} in {events:?}");
    }
}

/// A user's id, an external reference and a client's message id are a tenant's own words: two tenants may have the same.
#[tokio::test]
async fn two_tenants_may_call_things_the_same() {
    let (one, other) = (Tenant::new().await, Tenant::new().await);
    let ids = &one.ids;
    let about = json!({ "user_id": ids["user_id"] });
    let theirs = other.chat.call(Request::post("/v1/users", &about)).await.ok();
    assert_eq!(
        (&theirs["user"]["name"], &theirs["user"]["tenant_id"]),
        (&Value::Null, &json!(other.chat.tenant))
    );
    let order = json!({ "kind": "order", "external_ref": ids["external_ref"], "participants": ["eve"] });
    let theirs = other.chat.call(Request::post("/v1/conversations", &order)).await.ok();
    assert_eq!(theirs["conversation"]["participants"], json!(["eve"]));
    let message =
        json!({ "sender_id": ids["user_id"], "body": "mine", "client_message_id": ids["client_message_id"] });
    assert_eq!(other.chat.send_with(&message).await["body"], "mine");
}

/// Answers to unknown and to revoked keys take turns, and each pair votes for the slower. Whatever else the machine does
/// hits both alike; what is left is a coin, which is this far from even once in a million runs.
#[tokio::test]
async fn a_key_that_exists_takes_no_longer_to_refuse_than_one_that_does_not() {
    const PAIRS: usize = 600;
    let chat = Chat::new().await;
    chat.revoke_key().await;
    let unknown = format!("pk_test_{}", Uuid::new_v4().simple());
    let time = async |key: &str| {
        let began = Instant::now();
        chat.call(Request::get("/v1/config").with_key(key)).await.error(401, "invalid api key");
        began.elapsed()
    };
    let mut times = [Vec::<Duration>::new(), Vec::new()];
    let mut slower = 0;
    for pair in 0..PAIRS {
        let (revoked, unknown) = if pair % 2 == 0 {
            let revoked = time(&chat.key).await;
            (revoked, time(&unknown).await)
        } else {
            let unknown = time(&unknown).await;
            (time(&chat.key).await, unknown)
        };
        slower += usize::from(revoked > unknown);
        times[0].push(revoked);
        times[1].push(unknown);
    }
    for times in &mut times {
        times.sort_unstable();
    }
    let medians = [times[0][PAIRS / 2], times[1][PAIRS / 2]];
    assert!(
        (240..=360).contains(&slower),
        "the revoked key was slower {slower} times of {PAIRS}: {medians:?}"
    );
}

/// Postgres finds a key by comparing SHA-256 hashes in an index: how long that takes may tell of a hash, which nobody can
/// choose the beginning of, but not of a key.
#[tokio::test]
async fn keys_are_compared_as_hashes_by_an_index() {
    let chat = Chat::new().await;
    chat.db.batch_execute("set enable_seqscan = off").await.unwrap();
    let rows = chat
        .db
        .query("explain (costs off) select verdict from tinychat.tenant(sha256('pk_test_any'))", &[])
        .await
        .unwrap();
    let plan: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    let plan = plan.join("\n");
    assert!(plan.contains("using api_keys_pkey") && plan.contains("Index Cond: (hash ="), "{plan}");
}
