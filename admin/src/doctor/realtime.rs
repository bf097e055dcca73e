//! Checks of Realtime: broadcasts of the functions must reach clients that subscribe with the public key, and Realtime
//! must accept only access tokens that are signed with get-config's key.

use super::network::connect;
use super::{Fault, ROUND_TRIP, http};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use shared::access_token::{Listener, Signer};
use shared::config;
use shared::model::TenantId;
use std::time::{Duration, SystemTime};
use tokio::time::{Instant, timeout_at};
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};
use uuid::Uuid;

const ANON: &str = "SUPABASE_ANON_KEY";
const SERVICE: &str = "SUPABASE_SERVICE_ROLE_KEY";
const PRIVATE: &str = "REALTIME_PRIVATE";
const JWT_KEY: &str = "REALTIME_JWT_KEY";
const URL: &str = "SUPABASE_URL";

/// Joins the channel of a random conversation as a client does, broadcasts to it as a function does, and waits for the
/// broadcast. Returns the connection.
pub async fn round_trip(url: &str) -> Result<(String, Socket), Fault> {
    let deadline = Instant::now() + ROUND_TRIP.mul_f32(0.9);
    let private = config::realtime_private().unwrap_or_default();
    let mut socket = Socket::open(url, deadline).await?;
    if private {
        let reply = socket.join(&topic(), false, None).await?;
        if is_ok(&reply) {
            let seen = "is `true`, but the project allows public channels, too";
            let step = "Forbid public access in Supabase (Realtime, Settings), or set it to `false`";
            return Err(Fault::new(PRIVATE, seen, step));
        }
    }
    let topic = topic();
    let reply = socket.join(&topic, private, None).await?;
    if !is_ok(&reply) {
        return Err(refused(private, &reply));
    }
    broadcast(url, &topic, private, deadline).await?;
    let heard = socket.next(&topic, "broadcast").await.map_err(|_| {
        let seen = "is accepted, but no broadcast came back over the websocket";
        Fault::new(SERVICE, seen, "Check Realtime's log in Supabase, and try again")
    })?;
    if heard.get("event").is_none_or(|event| event != "doctor") {
        return Err(Fault::new(URL, "points to a Realtime that sent another broadcast", "Try again"));
    }
    let kind = if private { "private" } else { "public" };
    Ok((format!("a broadcast came back over the websocket, on a {kind} channel"), socket))
}

/// Joins a private channel with an access token like those of get-config, and tries to join another with a token that
/// is signed with a random key.
pub async fn access_tokens(mut socket: Socket, signer: Signer) -> Result<(String, ()), Fault> {
    let unfit = |error: shared::Error| Fault::new(JWT_KEY, format!("can't sign: {error}"), "Correct it");
    let token = |signer: &Signer| {
        let listener = Listener { tenant: TenantId::parse(""), user: "doctor", staff: false };
        let (token, _) = signer.sign(&listener, SystemTime::now() + Duration::from_mins(1)).map_err(unfit)?;
        Ok(token)
    };
    let reply = socket.join(&topic(), true, Some(token(&signer)?)).await?;
    if !is_ok(&reply) {
        let reason = reason(&reply);
        let step = if reason.starts_with("Unauthorized") {
            "Run `tinychat migrate` on the project's database, to create the policy for private channels"
        } else {
            "Import the key in Supabase (Project Settings, JWT Keys), or set it to the project's legacy JWT secret"
        };
        return Err(Fault::new(
            JWT_KEY,
            format!("signs access tokens that Realtime refuses: {reason}"),
            step,
        ));
    }
    let stranger = signer.stranger().map_err(unfit)?;
    let reply = socket.join(&topic(), true, Some(token(&stranger)?)).await?;
    if is_ok(&reply) {
        let seen = "points to a Realtime that accepts access tokens with any signature";
        return Err(Fault::new(URL, seen, "Set it to the address of a Supabase project"));
    }
    Ok(("Realtime accepts those that are signed with get-config's key, and no others".to_owned(), ()))
}

fn topic() -> String {
    format!("conv:{}", Uuid::new_v4())
}

fn is_ok(reply: &Value) -> bool {
    reply.get("status").is_some_and(|status| status == "ok")
}

fn reason(reply: &Value) -> &str {
    reply.pointer("/response/reason").and_then(Value::as_str).unwrap_or("no reason is given")
}

/// Returns the fault if the channel can't be joined.
fn refused(private: bool, reply: &Value) -> Fault {
    let reason = reason(reply);
    if private {
        let step = "Run `tinychat migrate` on the project's database, to create the policy for private channels, or set it to `false`";
        return Fault::new(
            PRIVATE,
            format!("is `true`, but a private channel can't be joined: {reason}"),
            step,
        );
    }
    if reason.starts_with("PrivateOnly") {
        let step = "Set it to `true`, or allow public access in Supabase (Realtime, Settings)";
        return Fault::new(PRIVATE, "is not `true`, but the project allows private channels only", step);
    }
    Fault::new(ANON, format!("can't join a channel: {reason}"), "Copy the public key from Supabase again")
}

/// Returns the fault for an HTTP status of Realtime's that isn't about a key.
fn down(status: u16) -> Fault {
    let seen = format!("points to a Realtime that responds with {status}");
    if status == 404 {
        return Fault::new(URL, seen, "Set it to the address of a Supabase project");
    }
    Fault::new(URL, seen, "Check the project's health in Supabase, and try again")
}

fn silent() -> Fault {
    Fault::new(
        URL,
        "points to a Realtime that doesn't respond",
        "Check the project's health in Supabase, and try again",
    )
}

async fn broadcast(url: &str, topic: &str, private: bool, deadline: Instant) -> Result<(), Fault> {
    let unset = |error: anyhow::Error| Fault::new(SERVICE, format!("can't be used: {error:#}"), "Correct it");
    let key = super::required(SERVICE).map_err(unset)?;
    let message =
        json!({ "topic": topic, "event": "doctor", "payload": { "well": true }, "private": private });
    let mut request =
        http().map_err(unset)?.post(format!("{url}/realtime/v1/api/broadcast")).header("apikey", &key);
    if !key.starts_with("sb_") {
        request = request.bearer_auth(&key);
    }
    let sent = timeout_at(deadline, request.json(&json!({ "messages": [message] })).send()).await;
    let Ok(Ok(response)) = sent else { return Err(silent()) };
    match response.status().as_u16() {
        202 => Ok(()),
        status @ (401 | 403) => {
            let step = "Copy the secret key, service_role or sb_secret_…, from Supabase again";
            Err(Fault::new(SERVICE, format!("is refused by Realtime ({status})"), step))
        }
        status => Err(down(status)),
    }
}

/// A client's connection.
pub struct Socket {
    stream: WebSocketStream<Box<dyn super::network::Connection>>,
    deadline: Instant,
}

impl Socket {
    async fn open(url: &str, deadline: Instant) -> Result<Self, Fault> {
        let key = config::optional(ANON).unwrap_or_default();
        let address =
            format!("{}/realtime/v1/websocket?apikey={key}&vsn=2.0.0", url.replacen("http", "ws", 1));
        let connection = connect(url).await?;
        match timeout_at(deadline, client_async(address, connection)).await {
            Ok(Ok((stream, _))) => Ok(Self { stream, deadline }),
            Ok(Err(Error::Http(response))) => Err(match response.status().as_u16() {
                status @ (401 | 403) => {
                    let step = "Copy the public key, anon or sb_publishable_…, from Supabase again";
                    Fault::new(ANON, format!("is refused by Realtime ({status})"), step)
                }
                status => down(status),
            }),
            Ok(Err(Error::Url(_) | Error::HttpFormat(_))) => Err(Fault::new(
                ANON,
                "has characters that aren't allowed in a key",
                "Copy the public key from Supabase again",
            )),
            _ => Err(silent()),
        }
    }

    /// Asks to join a channel, with the public key or an access token, and returns the reply.
    async fn join(&mut self, topic: &str, private: bool, token: Option<String>) -> Result<Value, Fault> {
        let config = json!({ "broadcast": {}, "presence": {}, "postgres_changes": [], "private": private });
        let mut join = json!({ "config": config });
        if let (Some(token), Some(join)) = (token, join.as_object_mut()) {
            join.insert("access_token".to_owned(), token.into());
        }
        let frame = json!(["1", "1", format!("realtime:{topic}"), "phx_join", join]);
        self.stream.send(Message::text(frame.to_string())).await.map_err(|_| silent())?;
        self.next(topic, "phx_reply").await
    }

    /// Returns the payload of the channel's next frame with this event.
    async fn next(&mut self, topic: &str, event: &str) -> Result<Value, Fault> {
        let channel = format!("realtime:{topic}");
        while let Ok(Some(Ok(message))) = timeout_at(self.deadline, self.stream.next()).await {
            let Message::Text(text) = message else { continue };
            let frame: Value = serde_json::from_str(&text).unwrap_or_default();
            if frame.get(2).is_some_and(|topic| *topic == channel)
                && frame.get(3).is_some_and(|name| name == event)
            {
                return Ok(frame.get(4).cloned().unwrap_or_default());
            }
        }
        Err(silent())
    }
}
