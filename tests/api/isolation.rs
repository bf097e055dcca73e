//! The isolation of tenants: no request of a tenant returns or changes anything that belongs to another tenant.
//!
//! For each route of template.yaml, the test tries every combination of ids: the tenant's own, the other tenant's, and
//! ids that don't exist. The responses to the last two must be identical to the byte.

use reqwest::Method;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::{Duration, Instant};
use support::{Channel, Chat, Request, Response, setting};
use uuid::Uuid;

/// A route's method and path.
pub type Route = (String, String);

/// The owner of an id in a request.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Whose {
    Own,
    Foreign,
    Absent,
}

/// An id for each slot of a request: `{id}` and `{msgId}` in the path, and the slots in the query and the body.
pub type Ids = BTreeMap<&'static str, String>;

/// The owner of the id in each slot of a request.
type Choice = BTreeMap<&'static str, Whose>;

/// All slots.
const SLOTS: [&str; 6] = ["id", "msgId", "reply_to", "user_id", "external_ref", "client_message_id"];

/// Returns the routes of template.yaml, each of which is one line there.
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

/// Returns the query and the JSON body of a route's example request, with slots for ids.
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

/// Whether only the tenant's backend and staff may use a route.
pub fn is_servers(method: &str, path: &str) -> bool {
    (method, path) == ("PATCH", "/v1/conversations/{id}")
}

/// Makes a route's example request, with these ids in its slots.
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

/// Returns every choice for the slots in a text.
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

/// A tenant with data of every kind: its chat, and the ids that belong only to it.
struct Tenant {
    chat: Chat,
    ids: Ids,
    /// The chat's channel, without waiting events.
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

    /// Returns all texts that no response to another tenant may contain: ids, texts and times, as the API and Postgres write them.
    async fn secrets(&self) -> BTreeSet<String> {
        let mut secrets = BTreeSet::from([self.chat.tenant.to_string()]);
        collect(&self.chat.rows().await, &mut secrets);
        collect(&json!(self.chat.history("").await), &mut secrets);
        collect(&json!(self.chat.conversations_of(&self.ids["user_id"]).await), &mut secrets);
        secrets.into_iter().filter(|text| text.len() > 8).collect()
    }

    /// Returns the tenant's webhook events.
    async fn events(&self) -> Vec<String> {
        let query = "select payload from tinychat.webhook_deliveries d
            join tinychat.webhook_endpoints w on w.id = d.endpoint_id where w.tenant_id = $1";
        let rows = self.chat.db.query(query, &[&self.chat.tenant]).await.unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    }

    /// Returns the number of the tenant's files.
    fn files(&self) -> usize {
        let folder =
            PathBuf::from(setting("DATA_DIR")).join("storage/chat").join(self.chat.tenant.to_string());
        std::fs::read_dir(folder).map_or(0, Iterator::count)
    }
}

/// Collects the texts in a value.
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

/// Returns a response's status and body. In a success, it replaces what always differs: new ids, times, and the request's ids.
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
    tenant.chat.settle().await;
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

/// Tenants choose user ids, external references and clients' message ids themselves, so two tenants may choose the same.
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

/// Requests with an unknown and with a revoked key alternate, and the test counts the pairs in which the revoked one is slower.
/// Other load of the machine affects both equally. So the count is that of coin tosses, which leave these bounds once in a
/// million runs.
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

/// Postgres finds a key by comparing SHA-256 hashes in an index. The time that this takes may reveal something about a hash,
/// but nothing about a key, because nobody can choose the first bytes of a hash.
#[tokio::test]
async fn keys_are_compared_as_hashes_by_an_index() {
    let chat = Chat::new().await;
    chat.db.batch_execute("set enable_seqscan = off").await.unwrap();
    let rows = chat
        .db
        .query(
            "explain (costs off) select from tinychat.api_keys k where k.hash = sha256('pk_test_any')",
            &[],
        )
        .await
        .unwrap();
    let plan: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    let plan = plan.join("\n");
    assert!(plan.contains("using api_keys_pkey") && plan.contains("Index Cond: (hash ="), "{plan}");
    let source = "select prosrc from pg_proc where oid = 'tinychat.check_access'::regproc";
    let source: String = chat.db.query_one(source, &[]).await.unwrap().get(0);
    assert!(source.contains("where k.hash = decode(credential ->> 'hash', 'hex')"), "{source}");
}
