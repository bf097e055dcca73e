//! `tinychat webhooks listen`: a receiver that verifies events and prints a line for each one.

use crate::output::{Failure, Output};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::any;
use clap::Args;
use serde_json::{Value, json};
use shared::config;
use standardwebhooks::Webhook;
use std::io::{self, IsTerminal};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use tokio::net::TcpListener;

/// The maximum length of a message's text in the output, in characters.
const SNIPPET: usize = 60;

#[derive(Args)]
pub struct Listen {
    /// The port; 0 chooses a free one
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// The address to listen on
    #[arg(long, default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    host: IpAddr,
}

struct Receiver {
    webhook: Webhook,
    output: Output,
}

pub async fn run(listen: Listen, output: &Output) -> anyhow::Result<()> {
    let error =
        "the endpoint's signing secret, whsec_…, must be in WEBHOOK_SECRET or come from standard input";
    let secret = secret()?.ok_or_else(|| Failure::WrongUsage(error.to_owned()))?;
    let webhook = Webhook::new(&secret).map_err(|_| Failure::WrongUsage(error.to_owned()))?;
    let listener = TcpListener::bind((listen.host, listen.port)).await?;
    output.line("yes", &format!("listening on http://{}/, stop with Ctrl-C", listener.local_addr()?));
    let app = Router::new()
        .fallback(any(receive))
        .with_state(Arc::new(Receiver { webhook, output: output.clone() }));
    Ok(axum::serve(listener, app).await?)
}

fn secret() -> io::Result<Option<String>> {
    if let Some(secret) = config::optional("WEBHOOK_SECRET") {
        return Ok(Some(secret));
    }
    if io::stdin().is_terminal() {
        eprintln!("The endpoint's signing secret, whsec_…:");
    }
    let mut line = String::new();
    io::stdin().read_line(&mut line)?;
    Ok(Some(line.trim().to_owned()).filter(|line| !line.is_empty()))
}

async fn receive(State(receiver): State<Arc<Receiver>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let Receiver { webhook, output } = &*receiver;
    let verdict = webhook.verify(&body, &headers);
    let event: Value = serde_json::from_slice(&body).unwrap_or_default();
    let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let id = headers.get("webhook-id").and_then(|id| id.to_str().ok()).unwrap_or("no webhook-id");
    let (mark, signature) = match &verdict {
        Ok(()) => ("yes", "valid".to_owned()),
        Err(error) => ("no", error.to_string()),
    };
    let kind = if text("/type").is_empty() { "no event" } else { text("/type") };
    let said: String = text("/data/message/body").chars().take(SNIPPET).collect();
    let from = text("/data/message/sender_id");
    let message = if from.is_empty() { String::new() } else { format!("  {from}: {said}") };
    output.line(mark, &format!("{kind}  {id}  signature {signature}{message}"));
    output.json_line(&json!({ "id": id, "signature": signature, "event": event }));
    if verdict.is_ok() { StatusCode::NO_CONTENT } else { StatusCode::UNAUTHORIZED }
}
