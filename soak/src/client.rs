//! A client. It acts as one sender, makes random requests until the run ends, and records the responses.

use crate::checker::EDITED;
use crate::history::{Acknowledged, Change, Old, Recorder, Refusal, Send, Upsert};
use reqwest::Method;
use serde_json::{Map, Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// The pause between two requests, in milliseconds.
const PAUSE: std::ops::Range<u64> = 20..180;

/// The number of its own messages that a client keeps, to edit and delete them.
const REMEMBERED: usize = 50;

const PNG: &[u8] =
    b"\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00";

/// The API, called with one tenant's key.
pub struct Api {
    pub http: reqwest::Client,
    pub url: String,
    pub key: String,
}

/// A status and a body. The status is 0 if the connection ended without a response.
pub struct Response {
    pub status: u16,
    pub body: Value,
}

impl Api {
    pub async fn call(&self, method: Method, path: &str, body: &Value) -> Response {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.send(method, path, "application/json", body.into_bytes()).await
    }

    pub async fn send(&self, method: Method, path: &str, content_type: &str, body: Vec<u8>) -> Response {
        let request = self.http.request(method, format!("{}{path}", self.url));
        let request = request.header("x-tinychat-api-key", &self.key).header("content-type", content_type);
        let result = async {
            let response = request.body(body).send().await?;
            let status = response.status().as_u16();
            Ok::<_, reqwest::Error>((status, response.bytes().await?))
        };
        match result.await {
            Ok((status, body)) => {
                Response { status, body: serde_json::from_slice(&body).unwrap_or_default() }
            }
            Err(_) => Response { status: 0, body: Value::Null },
        }
    }
}

/// One client.
pub struct Client {
    pub api: Arc<Api>,
    pub recorder: Arc<Recorder>,
    pub conversations: Arc<Vec<String>>,
    pub name: String,
    /// Whether the user may be erased. The client then records everything that it plants.
    pub plants: bool,
    mine: Vec<Mine>,
    number: u64,
    users: u64,
}

/// A message that the client has sent.
struct Mine {
    conversation: String,
    id: String,
    body: String,
    edits: u64,
}

impl Client {
    pub fn new(
        api: Arc<Api>,
        recorder: Arc<Recorder>,
        conversations: Arc<Vec<String>>,
        name: String,
    ) -> Self {
        Self { api, recorder, conversations, name, plants: false, mine: Vec::new(), number: 0, users: 0 }
    }

    pub async fn run(mut self, until: Instant) {
        while Instant::now() < until {
            match fastrand::u8(..100) {
                0..40 => self.send(until).await,
                40..55 => self.page().await,
                55..70 => self.list().await,
                70..82 => self.edit().await,
                82..88 => self.delete().await,
                88..92 => self.typing().await,
                92..96 => self.upsert_user().await,
                _ => {
                    let (conversation, text) = (self.conversation(), self.next_text());
                    self.upload(&conversation, &text).await;
                }
            }
            sleep(Duration::from_millis(fastrand::u64(PAUSE))).await;
        }
    }

    /// Sends a message into a random conversation. Some have an image, and some are replies to messages that may expire.
    pub async fn send(&mut self, until: Instant) {
        let conversation = self.conversation();
        if fastrand::u8(..8) == 0 {
            return self.send_image(until, conversation).await;
        }
        let old: Vec<_> = self.old().filter(|old| old.conversation == conversation).collect();
        let old = fastrand::choice(old).filter(|_| fastrand::u8(..8) == 0);
        let reply_to = old.map(|old| old.id.clone());
        self.send_message(until, conversation, Map::new(), reply_to).await;
    }

    async fn send_image(&mut self, until: Instant, conversation: String) {
        let (began, text) = (self.recorder.began.elapsed(), self.next_text());
        let mut is_named = false;
        if let Some(url) = self.upload(&conversation, &text).await {
            let message = [("message_type", json!("image")), ("media_url", json!(url))];
            let message = message.map(|(name, value)| (name.to_owned(), value)).into_iter().collect();
            is_named = self.send_message(until, conversation, message, None).await;
        }
        if self.plants {
            // An image that no message names stays for a day.
            let ended = if is_named { self.recorder.began.elapsed() } else { Duration::MAX };
            self.recorder.plant(&self.name, &text, began..ended, is_named);
        }
    }

    /// Sends a reply to one of another user's messages, addressed to that user.
    pub async fn reply_to(&mut self, other: &Self, until: Instant) {
        let Some(Mine { conversation, id, .. }) = fastrand::choice(&other.mine) else { return };
        let began = self.recorder.began.elapsed();
        let message = Map::from_iter([("receiver_id".to_owned(), json!(other.name))]);
        let acknowledged = self.send_message(until, conversation.clone(), message, Some(id.clone())).await;
        let ended = self.recorder.began.elapsed();
        self.recorder.plant(&other.name, &other.name, began..ended, acknowledged);
    }

    /// Sends a message with a new text. Every second one has a `client_message_id`, and is sent again until the response is a
    /// 200. Returns whether it was.
    async fn send_message(
        &mut self,
        until: Instant,
        conversation: String,
        mut message: Map<String, Value>,
        mut reply_to: Option<String>,
    ) -> bool {
        let text = self.next_text();
        let path = format!("/v1/conversations/{conversation}/messages");
        let again = self.number.is_multiple_of(2);
        let fields = [
            ("sender_id", json!(self.name)),
            ("body", json!(text)),
            ("metadata", json!({ "text": text })),
            ("client_message_id", json!(again.then_some(&text))),
        ];
        message.extend(fields.map(|(name, value)| (name.to_owned(), value)));
        let began = self.recorder.began.elapsed();
        let (last, acknowledged) = loop {
            let last = self.recorder.began.elapsed();
            message.insert("reply_to".to_owned(), json!(reply_to));
            let response = self.api.call(Method::POST, &path, &Value::Object(message.clone())).await;
            if response.status == 400 && self.has_expired(reply_to.as_deref(), &response.body) {
                self.recorder.count("send", false);
                reply_to = None;
                continue;
            }
            match self.body_if_ok("send", &path, last, response) {
                Some(response) => break (last, Some(response)),
                None if again && Instant::now() < until => sleep(Duration::from_millis(100)).await,
                None => break (last, None),
            }
        };
        let acknowledged = acknowledged.map(|mut response| {
            let mut take = |pointer| match response.pointer_mut(pointer).map(Value::take) {
                Some(Value::String(text)) => text,
                _ => String::new(),
            };
            Acknowledged { id: take("/message/id"), created_at: take("/message/created_at") }
        });
        if let Some(Acknowledged { id, .. }) = &acknowledged {
            self.mine.push(Mine {
                conversation: conversation.clone(),
                id: id.clone(),
                body: text.clone(),
                edits: 0,
            });
            if self.mine.len() > REMEMBERED {
                self.mine.swap_remove(fastrand::usize(..REMEMBERED));
            }
        }
        let is_acknowledged = acknowledged.is_some();
        self.plant(&text, began, is_acknowledged);
        let ended = self.recorder.began.elapsed();
        let sender = self.name.clone();
        let send = Send { sender, body: text, conversation, reply_to, began, last, ended, acknowledged };
        self.recorder.history.lock().sends.push(send);
        is_acknowledged
    }

    /// Whether a reply was refused because its message may have been removed by now.
    fn has_expired(&self, reply_to: Option<&str>, body: &Value) -> bool {
        let now = self.recorder.began.elapsed();
        *body == json!({ "error": "reply_to is not a message in this conversation" })
            && self
                .old()
                .any(|old| Some(old.id.as_str()) == reply_to && old.expires.is_some_and(|at| at <= now))
    }

    fn old(&self) -> impl Iterator<Item = &Old> {
        self.recorder.old.get().into_iter().flatten()
    }

    /// Returns a text that no other request contains.
    fn next_text(&mut self) -> String {
        self.number += 1;
        format!("{}/{}", self.name, self.number)
    }

    fn plant(&self, text: &str, began: Duration, acknowledged: bool) {
        if self.plants {
            self.recorder.plant(&self.name, text, began..self.recorder.began.elapsed(), acknowledged);
        }
    }

    /// Reads two consecutive pages, whose times must increase.
    async fn page(&self) {
        let path = format!("/v1/conversations/{}/messages?limit=20", self.conversation());
        let Some(newest) = self.call("page", Method::GET, &path, &Value::Null).await else { return };
        let newest = times(&newest);
        let mut all = newest.clone();
        if let Some(first) = newest.first() {
            let Some(older) =
                self.call("page", Method::GET, &format!("{path}&before={first}"), &Value::Null).await
            else {
                return;
            };
            all.splice(0..0, times(&older));
        }
        if !all.is_sorted_by(|one, next| one < next) {
            self.recorder.anomaly(format!("two pages are out of order: {all:?}"));
        }
    }

    /// Lists its conversations, which must be all conversations of the run.
    async fn list(&self) {
        let path = format!("/v1/conversations?user_id={}", self.name.replace(' ', "+"));
        if let Some(response) = self.call("list", Method::GET, &path, &Value::Null).await {
            let count = response.get("conversations").and_then(Value::as_array).map(Vec::len);
            if count != Some(self.conversations.len()) {
                self.recorder.anomaly(format!("a list has {count:?} conversations"));
            }
        }
    }

    pub async fn edit(&mut self) {
        let Some(mut mine) = self.pick() else { return };
        mine.edits += 1;
        let text = format!("{}{EDITED}{}", mine.body, mine.edits);
        let body = json!({ "sender_id": self.name, "body": text });
        let began = self.recorder.began.elapsed();
        let acknowledged = self.call("edit", Method::PATCH, &mine.path(), &body).await.is_some();
        let ended = self.recorder.began.elapsed();
        let change = Change { message: mine.id.clone(), text: Some(text), began, ended, acknowledged };
        self.recorder.history.lock().changes.push(change);
        self.plant(&mine.body, began, acknowledged);
        // The events of an erased message don't say which edit they are, so there is only one.
        if acknowledged && !self.plants {
            self.mine.push(mine);
        }
    }

    pub async fn delete(&mut self) {
        let Some(mine) = self.pick() else { return };
        let body = json!({ "sender_id": self.name });
        let began = self.recorder.began.elapsed();
        let acknowledged = self.call("delete", Method::DELETE, &mine.path(), &body).await.is_some();
        let ended = self.recorder.began.elapsed();
        let change = Change { message: mine.id, text: None, began, ended, acknowledged };
        self.recorder.history.lock().changes.push(change);
    }

    async fn typing(&self) {
        let path = format!("/v1/conversations/{}/typing", self.conversation());
        self.call("typing", Method::POST, &path, &json!({ "sender_id": self.name })).await;
    }

    async fn upsert_user(&mut self) {
        let user = format!("{}'s {}", self.name, self.users);
        if !self.upsert(user).await {
            self.users += 1;
        }
    }

    /// Writes a profile, with a new text in all of its fields. Returns whether it was acknowledged.
    pub async fn upsert(&mut self, user: String) -> bool {
        let (began, name) = (self.recorder.began.elapsed(), self.next_text());
        let body = json!({
            "user_id": user, "name": name, "email": name, "fcm_tokens": [name], "notification_prefs": { "text": name },
        });
        let acknowledged = self.call("upsert", Method::POST, "/v1/users", &body).await.is_some();
        self.plant(&name, began, acknowledged);
        let time = began..self.recorder.began.elapsed();
        self.recorder.history.lock().upserts.push(Upsert { user, name, time, acknowledged });
        acknowledged
    }

    /// Uploads an image with a text in its name and its bytes. Returns its URL.
    async fn upload(&self, conversation: &str, text: &str) -> Option<String> {
        let path = format!("/v1/conversations/{conversation}/upload");
        let began = self.recorder.began.elapsed();
        let response = upload(&self.api, &path, text).await;
        let body = self.body_if_ok("upload", &path, began, response)?;
        let url = body.get("url").and_then(Value::as_str).unwrap_or_default().to_owned();
        if !self.plants {
            self.recorder.history.lock().uploads.push(url.clone());
        }
        Some(url)
    }

    /// Makes a request. Returns the response's body if the status is 200.
    async fn call(&self, operation: &'static str, method: Method, path: &str, body: &Value) -> Option<Value> {
        let began = self.recorder.began.elapsed();
        let response = self.api.call(method, path, body).await;
        self.body_if_ok(operation, path, began, response)
    }

    /// Counts a response. Returns its body if the status is 200. A fault may cause a 500, a gateway's 503, or no response, and
    /// a closed conversation a 403. Any other status is recorded as an anomaly.
    fn body_if_ok(
        &self,
        operation: &'static str,
        path: &str,
        began: Duration,
        response: Response,
    ) -> Option<Value> {
        self.recorder.count(operation, response.status == 200);
        match response.status {
            200 => Some(response.body),
            0 | 500 | 503 => None,
            403 if response.body == json!({ "error": "conversation is closed" }) => {
                let conversation = path.split('/').nth(3).unwrap_or_default().to_owned();
                let ended = self.recorder.began.elapsed();
                self.recorder.history.lock().refusals.push(Refusal { conversation, began, ended });
                None
            }
            status => {
                self.recorder.anomaly(format!("{status} to {operation} {path}: {}", response.body));
                None
            }
        }
    }

    fn conversation(&self) -> String {
        fastrand::choice(self.conversations.iter()).cloned().unwrap_or_default()
    }

    /// Removes a random message from those that it keeps, and returns it.
    fn pick(&mut self) -> Option<Mine> {
        (!self.mine.is_empty()).then(|| self.mine.swap_remove(fastrand::usize(..self.mine.len())))
    }
}

impl Mine {
    fn path(&self) -> String {
        format!("/v1/conversations/{}/messages/{}", self.conversation, self.id)
    }
}

/// Uploads an image with a text in its name and its bytes.
pub async fn upload(api: &Api, path: &str, text: &str) -> Response {
    let head = format!(
        "--b\r\ncontent-disposition: form-data; name=\"file\"; filename=\"{text}.png\"\r\ncontent-type: image/png\r\n\r\n"
    );
    let form = [head.as_bytes(), PNG, text.as_bytes(), b"\r\n--b--\r\n"].concat();
    api.send(Method::POST, path, "multipart/form-data; boundary=b", form).await
}

/// Returns the times of a page's messages.
pub fn times(page: &Value) -> Vec<String> {
    let messages = page.get("messages").and_then(Value::as_array).into_iter().flatten();
    let times = messages.map(|message| message.get("created_at").and_then(Value::as_str).unwrap_or_default());
    times.map(str::to_owned).collect()
}
