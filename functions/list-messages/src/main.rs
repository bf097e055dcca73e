//! GET /v1/conversations/{id}/messages: a page of a conversation's history.

use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;
use shared::db::Route;
use shared::fields::Field;
use shared::http::{Request, serve};
use shared::model::{Message, Timestamp, list};
use shared::{Error, Result, telemetry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    telemetry::init();
    let route = Route::connect(include_str!("list-messages.sql")).await?;
    serve(|request| list_messages(&route, request)).await
}

struct Input {
    before: Option<Timestamp>,
    limit: Limit,
}

impl Input {
    fn parse(request: &Request) -> Result<Self> {
        let mut query = request.query();
        Ok(Self { before: query.optional("before")?, limit: query.optional("limit")?.unwrap_or(Limit(50)) })
    }
}

/// How many messages a page may hold: a whole number from 1, of which anything above 200 is 200.
struct Limit(i64);

impl Field for Limit {
    fn parse(name: &str, value: Value) -> Result<Self> {
        let digits = value.as_str().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
        match digits.map(|text| text.trim_start_matches('0')) {
            None | Some("") => Err(Error::invalid(format!("{name} must be a whole number of at least 1"))),
            Some(number) => Ok(Self(number.parse().map_or(200, |number: i64| number.min(200)))),
        }
    }
}

#[derive(Serialize)]
struct Answer {
    messages: Vec<Box<RawValue>>,
}

async fn list_messages(route: &Route, request: Request) -> Result<Answer> {
    let credential = request.credential()?;
    let input = route.admit(&credential, Input::parse(&request)).await?;
    let rows = route
        .rows(
            &credential,
            &[
                ("conversation_id", &request.conversation()),
                ("before", &input.before),
                ("limit", &input.limit.0),
            ],
        )
        .await?;
    let mut messages = list::<Message>(&rows)?;
    messages.reverse(); // the oldest first, now that a page that would be too long has lost its oldest
    Ok(Answer { messages })
}
