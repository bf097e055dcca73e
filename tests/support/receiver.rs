//! A receiver of webhooks that responds as a test wants and records all attempts, and a tenant's endpoints and deliveries.

use crate::{Chat, TIMEOUT};
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use standardwebhooks::Webhook;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

/// A receiver's response.
#[derive(Clone)]
pub enum Reply {
    /// This status.
    Status(u16),
    /// This status and body.
    Text(u16, String),
    /// A redirection to this URL.
    Redirect(String),
    /// 200, after so many milliseconds.
    Slow(u64),
    /// 200 and the event itself, after so many milliseconds.
    Echo(u64),
    /// No response.
    Hang,
    /// 200, and an endless body.
    Flood,
}

/// An attempt that arrived.
#[derive(Clone)]
pub struct Received {
    /// The event's id, from the header `webhook-id`.
    pub id: String,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: String,
}

/// A running receiver.
pub struct Receiver {
    /// The URL to register.
    pub url: String,
    state: Arc<Shared>,
}

struct Shared {
    reply: Box<dyn Fn(usize) -> Reply + Send + Sync>,
    received: Mutex<Vec<Received>>,
    attempts: Mutex<HashMap<String, usize>>,
}

/// A registered endpoint.
pub struct Endpoint {
    /// Its id.
    pub id: Uuid,
    /// Its secret.
    pub secret: String,
}

impl Receiver {
    /// Starts a receiver that accepts every event.
    pub async fn new() -> Self {
        Self::replying(|_| Reply::Status(200)).await
    }

    /// Starts a receiver whose response depends on the number of the event's attempt, counted from 0.
    pub async fn replying(reply: impl Fn(usize) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook?token=t0ken", listener.local_addr().unwrap());
        let state = Arc::new(Shared {
            reply: Box::new(reply),
            received: Mutex::default(),
            attempts: Mutex::default(),
        });
        let app = Router::new().fallback(receive).with_state(state.clone());
        tokio::spawn(axum::serve(listener, app).into_future());
        Self { url, state }
    }

    /// Returns all attempts that have arrived.
    pub fn received(&self) -> Vec<Received> {
        self.state.received.lock().unwrap().clone()
    }

    /// Waits until this number of attempts has arrived. Returns all attempts.
    pub async fn wait_for(&self, count: usize) -> Vec<Received> {
        let deadline = Instant::now() + TIMEOUT;
        while self.received().len() < count {
            assert!(Instant::now() < deadline, "{} of {count} attempts", self.received().len());
            sleep(Duration::from_millis(5)).await;
        }
        self.received()
    }
}

async fn receive(State(state): State<Arc<Shared>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    let id = parts.headers["webhook-id"].to_str().unwrap().to_owned();
    let attempt = {
        let mut attempts = state.attempts.lock().unwrap();
        let count = attempts.entry(id.clone()).or_default();
        *count += 1;
        *count - 1
    };
    let body = String::from_utf8(body.to_vec()).unwrap();
    state.received.lock().unwrap().push(Received { id, headers: parts.headers, body: body.clone() });
    match (state.reply)(attempt) {
        Reply::Status(status) => StatusCode::from_u16(status).unwrap().into_response(),
        Reply::Text(status, text) => (StatusCode::from_u16(status).unwrap(), text).into_response(),
        Reply::Redirect(to) => (StatusCode::FOUND, [(header::LOCATION, to)]).into_response(),
        Reply::Slow(millis) => {
            sleep(Duration::from_millis(millis)).await;
            StatusCode::OK.into_response()
        }
        Reply::Echo(millis) => {
            sleep(Duration::from_millis(millis)).await;
            body.into_response()
        }
        Reply::Hang => std::future::pending().await,
        Reply::Flood => {
            let chunk = futures_util::stream::repeat_with(|| Ok::<_, std::io::Error>("x".repeat(1000)));
            Body::from_stream(chunk).into_response()
        }
    }
}

impl Received {
    /// Returns the body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// Whether the attempt has a signature by this secret, and a recent time.
    pub fn is_signed_by(&self, secret: &str) -> bool {
        Webhook::new(secret).unwrap().verify(self.body.as_bytes(), &self.headers).is_ok()
    }
}

impl Chat {
    /// Registers an endpoint for all events.
    pub async fn webhook(&self, url: &str) -> Endpoint {
        self.webhook_for(url, &["message.created", "message.updated", "message.deleted"]).await
    }

    /// Registers an endpoint for some events.
    pub async fn webhook_for(&self, url: &str, events: &[&str]) -> Endpoint {
        let endpoint = Endpoint { id: Uuid::new_v4(), secret: new_secret() };
        let sql = "insert into tinychat.webhook_endpoints (id, tenant_id, url, events, secret)
            values ($1, $2, $3, $4, $5)";
        self.db.execute(sql, &[&endpoint.id, &self.tenant, &url, &events, &endpoint.secret]).await.unwrap();
        endpoint
    }

    /// Registers an endpoint for all events that also gets the recipients of new messages.
    pub async fn webhook_with_recipients(&self, url: &str) -> Endpoint {
        let endpoint = self.webhook(url).await;
        let recipients = "update tinychat.webhook_endpoints set recipients = true where id = $1";
        self.db.execute(recipients, &[&endpoint.id]).await.unwrap();
        endpoint
    }

    /// Returns the tenant's deliveries, the oldest first.
    pub async fn deliveries(&self) -> Vec<Value> {
        let sql = "select to_jsonb(d) from tinychat.webhook_deliveries d
            join tinychat.webhook_endpoints w on w.id = d.endpoint_id
            where w.tenant_id = $1 order by d.event_id, d.endpoint_id";
        let rows = self.db.query(sql, &[&self.tenant]).await.unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    }

    /// Returns the tenant's endpoints, the oldest first.
    pub async fn endpoints(&self) -> Vec<Value> {
        let sql = "select to_jsonb(w) from tinychat.webhook_endpoints w
            where w.tenant_id = $1 order by w.created_at, w.id";
        let rows = self.db.query(sql, &[&self.tenant]).await.unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    }

    /// Waits until a condition holds for every delivery of the tenant. Returns the deliveries.
    pub async fn until_deliveries(&self, holds: impl Fn(&Value) -> bool) -> Vec<Value> {
        let deadline = Instant::now() + TIMEOUT;
        loop {
            let deliveries = self.deliveries().await;
            if !deliveries.is_empty() && deliveries.iter().all(&holds) {
                return deliveries;
            }
            assert!(Instant::now() < deadline, "{deliveries:?}");
            sleep(Duration::from_millis(10)).await;
        }
    }

    /// Makes all waiting deliveries of the tenant due.
    pub async fn make_due(&self) {
        let endpoints = "update tinychat.webhook_endpoints set held_until = null where tenant_id = $1";
        let deliveries = "update tinychat.webhook_deliveries d set next_attempt_at = now()
            from tinychat.webhook_endpoints w
            where d.endpoint_id = w.id and w.tenant_id = $1 and d.outcome is null and d.next_attempt_at > now()";
        // Two statements, because the recording of an attempt locks the rows in the other order.
        for sql in [endpoints, deliveries] {
            self.db.execute(sql, &[&self.tenant]).await.unwrap();
        }
    }

    /// Adds due events for an endpoint to the outbox.
    pub async fn backlog(&self, endpoint: &Endpoint, count: usize) {
        let sql = r#"insert into tinychat.webhook_deliveries (endpoint_id, event_id, type, payload, next_attempt_at)
            select $1, gen_random_uuid(), 'message.created', '{"type":"message.created"}', now()
            from generate_series(1, $2)"#;
        self.db.execute(sql, &[&endpoint.id, &i32::try_from(count).unwrap()]).await.unwrap();
    }

    /// Returns the number of an endpoint's delivered events.
    pub async fn delivered(&self, endpoint: &Endpoint) -> usize {
        let sql = "select count(*) from tinychat.webhook_deliveries
            where endpoint_id = $1 and outcome = 'delivered'";
        let count: i64 = self.db.query_one(sql, &[&endpoint.id]).await.unwrap().get(0);
        usize::try_from(count).unwrap()
    }

    /// Waits until this number of an endpoint's events has been delivered.
    pub async fn until_delivered(&self, endpoint: &Endpoint, count: usize, timeout: Duration) {
        let deadline = Instant::now() + timeout;
        while self.delivered(endpoint).await < count {
            assert!(
                Instant::now() < deadline,
                "only {} of {count} events were delivered",
                self.delivered(endpoint).await
            );
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Disables an endpoint, so that its waiting events don't slow down later tests.
    pub async fn disable(&self, endpoint: &Endpoint) {
        let sql = "update tinychat.webhook_endpoints set disabled_at = now() where id = $1";
        self.db.execute(sql, &[&endpoint.id]).await.unwrap();
    }
}

/// Waits until deliver-webhooks has claimed all events that are due now. It delivers an event of another tenant, which is due
/// after them.
pub async fn until_claimed() {
    let (chat, receiver) = (Chat::without_messages().await, Receiver::new().await);
    let endpoint = chat.webhook(&receiver.url).await;
    chat.backlog(&endpoint, 1).await;
    receiver.wait_for(1).await;
}

/// Returns a new secret.
pub fn new_secret() -> String {
    use base64::prelude::{BASE64_STANDARD, Engine};
    let key: Vec<u8> = [Uuid::new_v4(), Uuid::new_v4()].iter().flat_map(|id| id.into_bytes()).collect();
    format!("whsec_{}", BASE64_STANDARD.encode(key))
}
