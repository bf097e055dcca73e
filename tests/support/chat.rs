//! A tenant for one test, with a conversation.

use crate::request::{Key, Request};
use crate::{Document, Response, TIMEOUT, setting};
use reqwest::Method;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::sync::Mutex;
use std::time::Duration;
use tokio::sync::OnceCell;
use tokio::time::{Instant, sleep};
use tokio_postgres::NoTls;
use uuid::Uuid;

/// A new tenant, and a conversation between its users `ada` and `bob` in which `ada` has sent one message.
///
/// The tenant and its key are written into Postgres directly, and everything else is made with the API.
pub struct Chat {
    /// The tenant's id.
    pub tenant: Uuid,
    /// Its publishable key.
    pub key: String,
    /// The conversation's id.
    pub conversation: String,
    /// The message as it was answered.
    pub message: Value,
    /// A connection to Postgres as the superuser.
    pub db: tokio_postgres::Client,
    http: reqwest::Client,
    has_secret_key: OnceCell<()>,
    /// The ids of the requests whose functions may still be at work.
    requests: Mutex<BTreeSet<String>>,
}

impl Chat {
    /// Creates the tenant, the conversation and the message.
    pub async fn new() -> Self {
        let mut chat = Self::without_messages().await;
        chat.message = chat.send("ada", "hello").await;
        chat
    }

    /// Creates the tenant and the conversation. The broadcast of a first message could come later than its response.
    pub async fn without_messages() -> Self {
        let mut chat = Self {
            tenant: Uuid::new_v4(),
            key: format!("pk_test_{}", Uuid::new_v4().simple()),
            conversation: String::new(),
            message: Value::Null,
            db: connect().await,
            http: http_client(),
            has_secret_key: OnceCell::new(),
            requests: Mutex::default(),
        };
        chat.db
            .execute("insert into tinychat.tenants (id, name) values ($1, 'Test')", &[&chat.tenant])
            .await
            .unwrap();
        chat.add_key(&chat.key).await;
        chat.conversation = chat.converse(&["ada", "bob"]).await;
        chat
    }

    /// Creates another conversation. Returns its id.
    pub async fn converse(&self, participants: &[&str]) -> String {
        let body = json!({ "kind": "direct", "participants": participants });
        let response = self.call(Request::post("/v1/conversations", &body)).await.ok();
        response["conversation"]["id"].as_str().unwrap().to_owned()
    }

    /// Registers a user. Returns the UUID in the response.
    pub async fn register(&self, user: &str) -> String {
        let response = self.call(Request::post("/v1/users", &json!({ "user_id": user }))).await.ok();
        response["user"]["id"].as_str().unwrap().to_owned()
    }

    /// Returns a path below this conversation.
    pub fn path(&self, rest: &str) -> String {
        format!("/v1/conversations/{}/{rest}", self.conversation)
    }

    /// Returns the path of this conversation's first message.
    pub fn message_path(&self) -> String {
        self.path(&format!("messages/{}", self.message["id"].as_str().unwrap()))
    }

    /// Sends a text message. Returns it as it was answered.
    pub async fn send(&self, sender: &str, body: &str) -> Value {
        self.send_with(&json!({ "sender_id": sender, "body": body })).await
    }

    /// Sends a message with this JSON body. Returns it as it was answered.
    pub async fn send_with(&self, body: &Value) -> Value {
        self.call(Request::post(self.path("messages"), body)).await.ok()["message"].take()
    }

    /// Returns the conversation's history, for a query string.
    pub async fn history(&self, query: &str) -> Vec<Value> {
        let mut response = self.call(Request::get(self.path(&format!("messages{query}")))).await.ok();
        crate::assert_keys(&response, &["messages"]);
        serde_json::from_value(response["messages"].take()).unwrap()
    }

    /// Returns a user's conversations.
    pub async fn conversations_of(&self, user: &str) -> Vec<Value> {
        let mut response = self.call(Request::get(format!("/v1/conversations?user_id={user}"))).await.ok();
        crate::assert_keys(&response, &["conversations", "next"]);
        serde_json::from_value(response["conversations"].take()).unwrap()
    }

    /// Sends a request as a browser would from another origin. Asserts that the browser may read the response and that
    /// docs/openapi.yaml describes it.
    pub async fn call(&self, request: Request) -> Response {
        let url = format!("{}{}", setting("API_URL"), request.path);
        let mut builder =
            self.http.request(request.method.clone(), url).header("origin", "https://app.example");
        builder = match &request.key {
            Key::Own => builder.header("x-tinychat-api-key", &self.key),
            Key::Secret => {
                self.need_secret_key().await;
                builder.header("x-tinychat-api-key", self.secret_key())
            }
            Key::Missing => builder,
            Key::Other(text) => builder.header("x-tinychat-api-key", text.as_bytes()),
        };
        if !request.content_type.is_empty() {
            builder = builder.header("content-type", &request.content_type);
        }
        let response = self.fetch(builder.body(request.body)).await;
        assert_eq!(response.header("access-control-allow-origin"), "*", "{}", response.request);
        Document::get().check(&request.method, &request.path, &response);
        self.requests.lock().unwrap().insert(response.header("apigw-requestid").to_owned());
        response
    }

    /// Waits until all work after the responses is done, such as broadcasts and the first attempts of webhooks.
    pub async fn settle(&self) {
        let url = format!("{}/__invocations", setting("SUPABASE_URL"));
        let requests = std::mem::take(&mut *self.requests.lock().unwrap());
        let deadline = Instant::now() + TIMEOUT;
        loop {
            let under_way = self.fetch(self.request(Method::GET, &url)).await.json();
            let under_way: BTreeSet<String> = serde_json::from_value(under_way).unwrap();
            if under_way.is_disjoint(&requests) {
                return;
            }
            assert!(Instant::now() < deadline, "a function is still at work");
            sleep(Duration::from_millis(2)).await;
        }
    }

    /// Sends a request to any address, and reads the response to the end.
    pub async fn fetch(&self, request: reqwest::RequestBuilder) -> Response {
        let request = request.build().unwrap();
        let line = format!("{} {}", request.method(), request.url());
        let response = self.http.execute(request).await.unwrap_or_else(|error| panic!("{line}: {error:?}"));
        Response {
            request: line,
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            body: response.bytes().await.unwrap().to_vec(),
        }
    }

    /// Begins a request to any address.
    pub fn request(&self, method: Method, url: &str) -> reqwest::RequestBuilder {
        self.http.request(method, url)
    }

    /// Asserts that a request fails with this status and text, and changes nothing.
    pub async fn refuses(&self, request: Request, status: u16, text: &str) {
        let before = self.rows().await;
        self.call(request).await.error(status, text);
        assert_eq!(self.rows().await, before);
    }

    /// Returns everything that is stored for the tenant.
    pub async fn rows(&self) -> Value {
        const ROWS: &str = "select jsonb_build_object(
            'users', (select jsonb_agg(to_jsonb(u) order by u.id) from tinychat.users u where u.tenant_id = $1),
            'conversations', (select jsonb_agg(to_jsonb(c) order by c.id)
                from tinychat.conversations c where c.tenant_id = $1),
            'participants', (select jsonb_agg(to_jsonb(p) order by p.conversation_id, p.user_id)
                from tinychat.participants p where p.tenant_id = $1),
            'messages', (select jsonb_agg(to_jsonb(m) order by m.id)
                from tinychat.messages m join tinychat.conversations c on c.id = m.conversation_id
                where c.tenant_id = $1),
            'events', (select jsonb_agg(d.event_id order by d.event_id)
                from tinychat.webhook_deliveries d join tinychat.webhook_endpoints w on w.id = d.endpoint_id
                where w.tenant_id = $1))";
        self.db.query_one(ROWS, &[&self.tenant]).await.unwrap().get(0)
    }

    /// Changes the conversation's participants or status. Returns the conversation as it was answered.
    pub async fn update(&self, change: &Value) -> Value {
        let path = format!("/v1/conversations/{}", self.conversation);
        self.call(Request::patch(path, change).with_secret_key()).await.ok()["conversation"].take()
    }

    /// Makes the tenant `active`, `overage` or `suspended`.
    pub async fn set_status(&self, status: &str) {
        self.db
            .execute("update tinychat.tenants set status = $1 where id = $2", &[&status, &self.tenant])
            .await
            .unwrap();
    }

    /// Returns the secret key, which the tenant gets when it is first used.
    pub fn secret_key(&self) -> String {
        self.key.replace("pk_test_", "sk_live_")
    }

    /// Gives the tenant its secret key, once. Some tests do this before they end the connection.
    pub async fn need_secret_key(&self) {
        self.has_secret_key.get_or_init(async || self.add_secret_key(&self.secret_key()).await).await;
    }

    /// Adds a publishable key.
    pub async fn add_key(&self, key: &str) {
        let add = "insert into tinychat.api_keys (hash, tenant_id, prefix) values ($1, $2, left($3, 12))
            on conflict do nothing";
        self.db.execute(add, &[&hash(key), &self.tenant, &key]).await.unwrap();
    }

    /// Adds a secret key.
    pub async fn add_secret_key(&self, key: &str) {
        self.add_key(key).await;
        let secret = "update tinychat.api_keys set kind = 'secret' where hash = $1";
        self.db.execute(secret, &[&hash(key)]).await.unwrap();
    }

    /// Makes the tenant require user tokens.
    pub async fn require_tokens(&self) {
        let require = "update tinychat.tenants set tokens_required = true where id = $1";
        self.db.execute(require, &[&self.tenant]).await.unwrap();
    }

    /// Revokes the tenant's first key and its secret key.
    pub async fn revoke_key(&self) {
        let revoke = "update tinychat.api_keys set revoked_at = now() where hash = any ($1)";
        let hashes = [hash(&self.key), hash(&self.secret_key())];
        self.db.execute(revoke, &[&&hashes[..]]).await.unwrap();
    }
}

fn hash(key: &str) -> Vec<u8> {
    Sha256::digest(key).to_vec()
}

async fn connect() -> tokio_postgres::Client {
    let (client, connection) = tokio_postgres::connect(&setting("DATABASE_URL"), NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// Returns a client for plain HTTP on this machine. It loads no TLS roots, because that takes longer than its requests.
fn http_client() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().tls_certs_only([]).build().unwrap()
}
