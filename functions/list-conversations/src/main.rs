//! GET /v1/conversations: a user's conversations, the latest activity first.

mod cursor;

use cursor::Cursor;
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;
use shared::auth::Credential;
use shared::db::Route;
use shared::fields::{Field, ShortText};
use shared::http::{Request, serve};
use shared::model::{Conversation, Kind, List, Status};
use shared::row::Row;
use shared::{Error, Result, telemetry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    telemetry::init()?;
    let route = Route::connect(include_str!("list-conversations.sql")).await?;
    serve(|request| list_conversations(&route, request)).await
}

struct Input {
    user_id: Option<ShortText>,
    kinds: Vec<Kind>,
    status: Option<Status>,
    external_ref: Option<ShortText>,
    unread: bool,
    limit: Limit,
    cursor: Option<Cursor>,
}

impl Input {
    fn parse(request: &Request, credential: &Credential) -> Result<Self> {
        let mut query = request.query();
        let user_id = credential.user(&mut query, "user_id")?;
        let kind: Option<Kind> = query.optional("kind")?;
        Ok(Self {
            user_id,
            kinds: kind.map_or_else(|| Kind::ALL.to_vec(), |kind| vec![kind]),
            status: query.optional("status")?.map(|With(status)| status),
            external_ref: query.optional_text("external_ref")?,
            unread: query.optional::<Unread>("unread")?.is_some(),
            limit: query.optional("limit")?.unwrap_or(Limit(100)),
            cursor: query.optional("cursor")?,
        })
    }
}

/// The maximum number of conversations in a page: a whole number from 1. Numbers above 100 mean 100.
struct Limit(u8);

impl Field for Limit {
    fn parse(name: &str, value: Value) -> Result<Self> {
        let digits = value.as_str().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
        match digits.map(|text| text.trim_start_matches('0')) {
            None | Some("") => Err(Error::invalid(format!("{name} is invalid"))),
            Some(number) => Ok(Self(number.parse().map_or(100, |number: u8| number.min(100)))),
        }
    }
}

/// `true`: only conversations with unread messages.
struct Unread;

impl Field for Unread {
    fn parse(name: &str, value: Value) -> Result<Self> {
        if value == "true" { Ok(Self) } else { Err(Error::invalid(format!("{name} is invalid"))) }
    }
}

/// Only conversations with this status.
struct With(Status);

impl Field for With {
    fn parse(name: &str, value: Value) -> Result<Self> {
        Status::parse(name, value).map(Self).map_err(|_| Error::invalid(format!("{name} is invalid")))
    }
}

#[derive(Serialize)]
struct Response {
    conversations: Vec<Box<RawValue>>,
    next: Option<Cursor>,
}

#[derive(Serialize)]
struct Listed {
    #[serde(flatten)]
    conversation: Conversation,
    unread_count: i64,
}

impl TryFrom<&Row> for Listed {
    type Error = Error;

    fn try_from(row: &Row) -> Result<Self> {
        Ok(Self { conversation: row.try_into()?, unread_count: row.try_get("unread_count")? })
    }
}

async fn list_conversations(route: &Route, request: Request) -> Result<Response> {
    let credential = request.credential()?;
    let input = route.admit(&credential, Input::parse(&request, &credential)).await?;
    let Limit(limit) = input.limit;
    let (before, before_id) = input.cursor.map(|cursor| (cursor.active_at, cursor.id)).unzip();
    let rows = route
        .rows(
            &credential,
            &[
                ("user_id", &input.user_id),
                ("kinds", &input.kinds),
                ("status", &input.status),
                ("external_ref", &input.external_ref),
                ("unread", &input.unread),
                ("before", &before),
                ("before_id", &before_id),
                ("limit", &i64::from(limit)),
            ],
        )
        .await?;
    let is_wanted = |listed: &Listed| !input.unread || listed.unread_count > 0;
    let List { items: conversations, last, more } = List::read(&rows, limit.into(), is_wanted)?;
    let next = last.filter(|_| more).map(Cursor::try_from).transpose()?;
    Ok(Response { conversations, next })
}
