//! `tinychat seed`: creates a tenant with data for development. It creates users, conversations, messages, edits,
//! deletions and images through the API, as an app does.

use crate::database::Database;
use crate::output::{Failure, Output};
use crate::tenants;
use anyhow::{Context, ensure};
use clap::{Args, value_parser};
use futures_util::future::try_join_all;
use reqwest::{Client, Method, RequestBuilder, Url};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use shared::config;
use tabled::Tabled;
use uuid::Uuid;

/// The users and the conversations. Their lines are repeated. The line `image` stands for an image.
const LIFE: &str = include_str!("life.json");
const IMAGE: &str = "image";

/// 240 by 160 pixels.
const PARCEL: &[u8] = include_bytes!("parcel.png");

/// Every 7th message is edited, and every 11th is deleted.
const EDITED: usize = 7;
const DELETED: usize = 11;

#[derive(Args)]
pub struct Seed {
    /// The tenant's name
    #[arg(long, default_value = "Seeded")]
    name: String,
    /// The total number of messages
    #[arg(long, default_value_t = 300, value_parser = value_parser!(u16).range(1..=10_000))]
    messages: u16,
    /// The API's URL; by default that of `API_URL`
    #[arg(long)]
    api: Option<Url>,
}

#[derive(Deserialize)]
struct Life {
    users: Vec<Value>,
    conversations: Vec<Script>,
}

#[derive(Deserialize)]
struct Script {
    kind: String,
    external_ref: Option<String>,
    people: Vec<String>,
    /// The sender's position among the people, and the text.
    lines: Vec<(usize, String)>,
}

/// The new tenant, its key, and its numbers of rows.
#[derive(Default, Serialize, Tabled)]
struct Seeded {
    tenant: Uuid,
    key: String,
    users: usize,
    conversations: usize,
    messages: usize,
    images: usize,
    edited: usize,
    deleted: usize,
}

pub async fn run(seed: Seed, output: &Output) -> anyhow::Result<()> {
    let Some(url) = seed.api.or_else(|| config::optional("API_URL")?.parse().ok()) else {
        let error = "API_URL must be the API's URL, such as http://127.0.0.1:3000; `make dev` writes it to .local/env";
        return Err(Failure::WrongUsage(error.to_owned()).into());
    };
    let life: Life = serde_json::from_str(LIFE)?;
    let (tenant, key) = tenants::create(&Database::connect().await?, &seed.name).await?;
    let api = Api { http: client()?, url: url.as_str().trim_end_matches('/').to_owned(), key };
    for user in &life.users {
        api.json(Method::POST, "/v1/users", user).await?;
    }
    let (messages, count) = (usize::from(seed.messages), life.conversations.len());
    let shares = life
        .conversations
        .iter()
        .enumerate()
        .map(|(n, script)| api.play(script, messages / count + usize::from(n < messages % count)));
    let mut seeded =
        Seeded { tenant, users: life.users.len(), conversations: count, messages, ..Seeded::default() };
    for part in try_join_all(shares).await? {
        seeded.images += part.images;
        seeded.edited += part.edited;
        seeded.deleted += part.deleted;
    }
    seeded.key = api.key;
    output.item(&seeded)
}

fn client() -> anyhow::Result<Client> {
    let tls = shared::tls::public().map_err(|error| anyhow::anyhow!(error))?;
    Ok(Client::builder().tls_backend_preconfigured(tls).build()?)
}

/// The API, used with the new tenant's key.
struct Api {
    http: Client,
    url: String,
    key: String,
}

impl Api {
    /// Creates a conversation with this many messages.
    async fn play(&self, script: &Script, messages: usize) -> anyhow::Result<Seeded> {
        let mut done = Seeded::default();
        let about = json!({ "kind": script.kind, "external_ref": script.external_ref, "participants": script.people });
        let conversation = self.json(Method::POST, "/v1/conversations", &about).await?;
        let conversation = format!("/v1/conversations/{}", text(&conversation, "/conversation/id")?);
        let mut image = None;
        for (n, (who, line)) in script.lines.iter().cycle().take(messages).enumerate() {
            let sender = script.people.get(*who).context("a line without a sender")?;
            let message = if line == IMAGE {
                done.images += 1;
                let url = match &image {
                    Some(url) => url,
                    None => image.insert(self.upload(&conversation).await?),
                };
                json!({ "sender_id": sender, "message_type": "image", "media_url": url })
            } else {
                json!({ "sender_id": sender, "body": line })
            };
            let sent = self.json(Method::POST, &format!("{conversation}/messages"), &message).await?;
            let sent = format!("{conversation}/messages/{}", text(&sent, "/message/id")?);
            if n % DELETED == DELETED - 1 {
                self.json(Method::DELETE, &sent, &json!({ "sender_id": sender })).await?;
                done.deleted += 1;
            } else if n % EDITED == EDITED - 1 && line != IMAGE {
                let body = format!("{line} (corrected)");
                self.json(Method::PATCH, &sent, &json!({ "sender_id": sender, "body": body })).await?;
                done.edited += 1;
            }
        }
        Ok(done)
    }

    /// Uploads the image, and returns its URL.
    async fn upload(&self, conversation: &str) -> anyhow::Result<String> {
        let boundary = Uuid::new_v4().simple().to_string();
        let head = format!(
            "--{boundary}\r\ncontent-disposition: form-data; name=\"file\"; filename=\"parcel.png\"\r\n\
            content-type: image/png\r\n\r\n"
        );
        let form = [head.as_bytes(), PARCEL, format!("\r\n--{boundary}--\r\n").as_bytes()].concat();
        let request = self.http.post(format!("{}{conversation}/upload", self.url)).body(form);
        let form = format!("multipart/form-data; boundary={boundary}");
        text(&self.send(request.header("content-type", form)).await?, "/url")
    }

    async fn json(&self, method: Method, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.send(self.http.request(method, format!("{}{path}", self.url)).json(body)).await
    }

    async fn send(&self, request: RequestBuilder) -> anyhow::Result<Value> {
        let response = request.header("x-tinychat-api-key", &self.key).send().await;
        let response = response.context("API_URL must be the URL of a running API")?;
        let (status, path) = (response.status(), response.url().path().to_owned());
        let body: Value = response.json().await.unwrap_or_default();
        ensure!(status.is_success(), "{path} responds with {status} {body}");
        Ok(body)
    }
}

fn text(response: &Value, pointer: &str) -> anyhow::Result<String> {
    let value = response.pointer(pointer).and_then(Value::as_str);
    Ok(value.with_context(|| format!("a response without {pointer}"))?.to_owned())
}
