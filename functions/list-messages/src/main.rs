//! GET /v1/conversations/{id}/messages: a page of a conversation's history.

use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;
use shared::db::Route;
use shared::fields::Field;
use shared::http::{Request, serve};
use shared::model::{List, Message, Timestamp};
use shared::{Error, Result, telemetry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    telemetry::init()?;
    let route = Route::connect(include_str!("list-messages.sql")).await?;
    serve(|request| list_messages(&route, request)).await
}

struct Input {
    before: Option<Timestamp>,
    since: Option<Timestamp>,
    limit: Limit,
}

impl Input {
    fn parse(request: &Request) -> Result<Self> {
        let mut query = request.query();
        let input = Self {
            before: query.optional("before")?,
            since: query.optional("since")?,
            limit: query.optional("limit")?.unwrap_or(Limit(50)),
        };
        if input.before.is_some() && input.since.is_some() {
            return Err(Error::invalid("before and since must not be used together"));
        }
        Ok(input)
    }
}

/// The maximum number of messages in a page: a whole number from 1. Numbers above 200 mean 200.
struct Limit(u8);

impl Field for Limit {
    fn parse(name: &str, value: Value) -> Result<Self> {
        let digits = value.as_str().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
        match digits.map(|text| text.trim_start_matches('0')) {
            None | Some("") => Err(Error::invalid(format!("{name} must be a whole number of at least 1"))),
            Some(number) => Ok(Self(number.parse().map_or(200, |number: u8| number.min(200)))),
        }
    }
}

#[derive(Serialize)]
struct Response {
    messages: Vec<Box<RawValue>>,
    /// Whether there are more changes. A page of history doesn't have this field.
    #[serde(skip_serializing_if = "Option::is_none")]
    more: Option<bool>,
}

async fn list_messages(route: &Route, request: Request) -> Result<Response> {
    let credential = request.credential()?;
    let input = route.admit(&credential, Input::parse(&request)).await?;
    let Limit(limit) = input.limit;
    let rows = route
        .rows(
            &credential,
            &[
                ("conversation_id", &request.conversation_id()),
                ("before", &input.before),
                ("since", &input.since),
                ("limit", &(i64::from(limit) + i64::from(input.since.is_some()))),
            ],
        )
        .await?;
    let List { items: mut messages, more, .. } = List::read(&rows, limit.into(), |_: &Message| true)?;
    if input.since.is_some() {
        return Ok(Response { messages, more: Some(more) });
    }
    messages.reverse(); // the oldest first; only now, because a page that is too long loses its oldest messages
    Ok(Response { messages, more: None })
}
