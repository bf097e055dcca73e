//! Realtime: what the functions broadcast must reach who listens with the public key.

use super::{http, required, supabase_url};
use anyhow::{Context, bail, ensure};
use futures_util::{SinkExt, Stream, StreamExt};
use serde_json::{Value, json};
use shared::config;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::{Error, Message};
use uuid::Uuid;

/// Joins a conversation's channel that nobody else knows, as a client does, broadcasts to it, as a function does, and waits
/// for the broadcast.
pub async fn round_trip() -> anyhow::Result<String> {
    let url = supabase_url()?;
    let private = config::realtime_private().map_err(|error| anyhow::anyhow!(error))?;
    let topic = format!("conv:{}", Uuid::new_v4());

    let query = format!("apikey={}&vsn=2.0.0", required("SUPABASE_ANON_KEY")?);
    let address = format!("{}/realtime/v1/websocket?{query}", url.replacen("http", "ws", 1));
    let stream = connect(&url).await.context("SUPABASE_URL can't be reached")?;
    let (mut socket, _) =
        client_async(address, stream).await.context("Realtime refuses SUPABASE_ANON_KEY")?;
    let channel = format!("realtime:{topic}");
    let join =
        json!({ "config": { "broadcast": {}, "presence": {}, "postgres_changes": [], "private": private } });
    socket.send(Message::text(json!(["1", "1", channel, "phx_join", join]).to_string())).await?;
    let reply = next(&mut socket, &channel, "phx_reply").await?;
    ensure!(reply.get("status").is_some_and(|status| status == "ok"), "the channel can't be joined: {reply}");

    let key = required("SUPABASE_SERVICE_ROLE_KEY")?;
    let message =
        json!({ "topic": topic, "event": "doctor", "payload": { "well": true }, "private": private });
    let mut request = http()?.post(format!("{url}/realtime/v1/api/broadcast")).header("apikey", &key);
    if !key.starts_with("sb_") {
        request = request.bearer_auth(&key);
    }
    let answer = request.json(&json!({ "messages": [message] })).send().await?;
    ensure!(
        answer.status() == 202,
        "mend SUPABASE_SERVICE_ROLE_KEY: Realtime answers a broadcast {}",
        answer.status()
    );

    let heard = next(&mut socket, &channel, "broadcast").await?;
    ensure!(heard.get("event").is_some_and(|event| event == "doctor"), "another broadcast came: {heard}");
    Ok(format!(
        "a broadcast came back over the websocket, on a {} channel",
        if private { "private" } else { "public" }
    ))
}

trait Connection: AsyncRead + AsyncWrite + Unpin {}
impl<T: AsyncRead + AsyncWrite + Unpin> Connection for T {}

async fn connect(url: &str) -> anyhow::Result<Box<dyn Connection>> {
    let url = reqwest::Url::parse(url)?;
    let host = url.host_str().context("no host in it")?.to_owned();
    let stream = TcpStream::connect((host.as_str(), url.port_or_known_default().context("no port")?)).await?;
    if url.scheme() == "http" {
        return Ok(Box::new(stream));
    }
    let tls = TlsConnector::from(Arc::new(shared::tls::public().map_err(|error| anyhow::anyhow!(error))?));
    Ok(Box::new(tls.connect(host.try_into()?, stream).await?))
}

/// The payload of the channel's next frame with this event.
async fn next(
    socket: &mut (impl Stream<Item = Result<Message, Error>> + Unpin),
    channel: &str,
    event: &str,
) -> anyhow::Result<Value> {
    while let Some(message) = socket.next().await {
        let Message::Text(text) = message? else { continue };
        let frame: Value = serde_json::from_str(&text)?;
        if frame.get(2).is_some_and(|topic| topic == channel)
            && frame.get(3).is_some_and(|name| name == event)
        {
            return Ok(frame.get(4).cloned().unwrap_or_default());
        }
    }
    bail!("Realtime has closed the connection")
}
