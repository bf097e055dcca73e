//! HTTP in and out: the request that a handler sees, its response or error as JSON, and the loop that serves requests.

use crate::auth::Credential;
use crate::db::Chain;
use crate::fields::Fields;
use crate::model::{ConversationId, MessageId};
use crate::telemetry::{self, Served};
use crate::{Error, Result, after_response};
use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use futures_util::FutureExt;
use lambda_http::aws_lambda_events::apigw::ApiGatewayV2httpResponse;
use lambda_http::http::header;
use lambda_http::lambda_runtime::{Runtime, layers::TracingLayer};
use lambda_http::tower::util::MapFutureLayer;
use lambda_http::{Body, LambdaEvent, service_fn};
use serde::{Deserialize, Serialize};
use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime};

/// The parts of an HTTP API event (payload format 2.0) that handlers read. All others are dropped.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Event {
    headers: Option<Headers>,
    path_parameters: Option<PathParameters>,
    raw_query_string: Option<String>,
    body: Option<String>,
    is_base64_encoded: bool,
}

/// The headers that handlers read. API Gateway sends names in lower case, `sam local start-api` with capitals.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Headers {
    #[serde(rename = "x-tinychat-api-key", alias = "X-Tinychat-Api-Key")]
    api_key: Option<String>,
    #[serde(rename = "content-type", alias = "Content-Type")]
    content_type: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct PathParameters {
    id: Option<String>,
    msg_id: Option<String>,
}

/// An HTTP request as API Gateway delivers it.
///
/// It is read from the event itself: `lambda_http`'s own conversion panics on invalid base64 and on a host, path or
/// query that doesn't make a valid URI. No handler needs the URI.
pub struct Request {
    headers: Headers,
    path: PathParameters,
    query: String,
    body: Bytes,
}

impl Request {
    /// Parses an event's JSON. [`serve`] does this by itself.
    pub fn from_event(json: &[u8]) -> serde_json::Result<Self> {
        serde_json::from_slice(json).map(Self::new)
    }

    fn new(event: Event) -> Self {
        let text = event.body.unwrap_or_default();
        let body = if event.is_base64_encoded {
            BASE64_STANDARD.decode(text).unwrap_or_default() // invalid base64 counts as empty
        } else {
            text.into_bytes()
        };
        Self {
            headers: event.headers.unwrap_or_default(),
            path: event.path_parameters.unwrap_or_default(),
            query: event.raw_query_string.unwrap_or_default(),
            body: body.into(),
        }
    }

    /// The credential in the `x-tinychat-api-key` header.
    pub fn credential(&self) -> Result<Credential> {
        let text = self.headers.api_key.as_deref().filter(|text| !text.is_empty());
        let credential = Credential::parse(text.ok_or(Error::MissingKey)?)?;
        telemetry::record_credential(credential.kind());
        Ok(credential)
    }

    /// `{id}` of the path.
    pub fn conversation_id(&self) -> ConversationId {
        ConversationId::parse(self.path.id.as_deref().unwrap_or_default())
    }

    /// `{msgId}` of the path.
    pub fn message_id(&self) -> MessageId {
        MessageId::parse(self.path.msg_id.as_deref().unwrap_or_default())
    }

    /// The query string's parameters.
    pub fn query(&self) -> Fields<'_> {
        form_urlencoded::parse(self.query.as_bytes()).collect()
    }

    /// The fields of the JSON object in the body. The declared content type is ignored.
    pub fn json(&self) -> Result<Fields<'_>> {
        Fields::from_json(&self.body)
    }

    /// The body's content type, or an empty text if none was sent.
    pub fn content_type(&self) -> &str {
        self.headers.content_type.as_deref().unwrap_or_default()
    }

    /// The body, decoded.
    pub fn body(&self) -> &Bytes {
        &self.body
    }
}

/// Serves a function's requests until Lambda ends it. The handler's result is sent as JSON, its errors and panics as
/// `{"error": …}`. Asks for the next request when [`after_response`] has finished with this one.
pub async fn serve<T, F>(handler: impl Fn(Request) -> F) -> Result<(), lambda_http::Error>
where
    T: Serialize,
    F: Future<Output = Result<T>>,
{
    // A mutex only because two closures share it. There is no contention.
    let deadline = Mutex::new(SystemTime::UNIX_EPOCH);
    let served = Mutex::new(None);
    let runtime = Runtime::new(service_fn(|event: LambdaEvent<Event>| {
        let start = Instant::now();
        telemetry::begin();
        *lock(&deadline) = event.context.deadline();
        let (request_id, served) = (event.context.request_id, &served);
        let response = Box::pin(AssertUnwindSafe(handler(Request::new(event.payload))).catch_unwind());
        async move {
            let result = response.await.unwrap_or(Err(Error::Panic));
            if let Err(error) = &result
                && error.status().is_server_error()
            {
                tracing::error!(error = %Chain(error), "request failed");
            }
            *lock(served) = Some(Served {
                request_id,
                status: result.as_ref().map_or_else(|error| error.status().as_u16(), |_| 200),
                error: result.as_ref().err().map(Error::for_log),
                duration: start.elapsed(),
            });
            Ok::<_, Infallible>(response_of(result))
        }
    }));
    let finish = MapFutureLayer::new(|response| async {
        let result = response.await;
        if let Some(request) = lock(&served).take() {
            telemetry::end(&request);
        }
        let deadline = *lock(&deadline);
        after_response::finish(deadline).await;
        result
    });
    runtime.layer(finish).layer(TracingLayer::new()).run().await
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The value that API Gateway turns into a response. JSON without a status code becomes a 200 with that JSON as its
/// body. So a success is serialised once. In a full response, its body would be a string and be serialised twice.
#[derive(Serialize)]
#[serde(untagged)]
enum Response<T> {
    Success(T),
    Failure(Box<ApiGatewayV2httpResponse>),
}

fn response_of<T>(result: Result<T>) -> Response<T> {
    let error = match result {
        Ok(response) => return Response::Success(response),
        Err(error) => error,
    };
    let mut response = Box::new(ApiGatewayV2httpResponse::default());
    response.status_code = error.status().as_u16().into();
    response.headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    for (name, value) in error.headers() {
        if let Ok(value) = value.try_into() {
            response.headers.insert(name, value);
        }
    }
    response.body = Some(Body::Text(serde_json::json!({ "error": error.to_string() }).to_string()));
    Response::Failure(response)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn request(event: &serde_json::Value) -> Request {
        Request::from_event(event.to_string().as_bytes()).unwrap()
    }

    fn event() -> serde_json::Value {
        json!({
            "version": "2.0", "routeKey": "$default", "rawPath": "/api/v1/x", "rawQueryString": "",
            "headers": {},
            "requestContext": { "stage": "api", "http": { "method": "GET", "path": "/api/v1/x" } },
            "isBase64Encoded": false
        })
    }

    #[test]
    fn a_key_is_missing_or_invalid() {
        let key = |headers| {
            let mut event = event();
            event["headers"] = headers;
            request(&event).credential().map_err(|error| error.to_string())
        };
        assert_eq!(key(json!({})).unwrap_err(), "missing x-tinychat-api-key header");
        assert_eq!(
            key(json!({ "x-tinychat-api-key": "" })).unwrap_err(),
            "missing x-tinychat-api-key header"
        );
        assert_eq!(key(json!({ "x-tinychat-api-key": "nope" })).unwrap_err(), "invalid api key");
        assert!(key(json!({ "X-Tinychat-Api-Key": "pk_live_abcdefghijklmnopqrstuvwx" })).is_ok());
    }

    #[test]
    fn a_hostile_event_is_a_request_like_any_other() {
        let mut event = event();
        event["headers"] = json!({ "host": "[not a host", "x-forwarded-proto": "::" });
        event["rawPath"] = json!("//\\ \u{7f}%zz");
        event["rawQueryString"] = json!("limit=7&before=\"<>\\^`{|}\u{e9}&%ff%00&&=");
        event["requestContext"]["domainName"] = json!("a b");
        event["isBase64Encoded"] = json!(true);
        event["body"] = json!("!!!");
        let request = request(&event);
        assert_eq!(&request.body()[..], b"");
        assert_eq!(&*request.query().required::<crate::fields::ShortText>("limit").unwrap(), "7");
    }

    #[test]
    fn an_error_is_an_object_with_one_field() {
        let error: Result<()> = Err(Error::UnsupportedMime("\"\u{1}".into()));
        let response = serde_json::to_value(response_of(error)).unwrap();
        assert_eq!(response["statusCode"], 415);
        assert_eq!(response["headers"]["content-type"], "application/json");
        assert_eq!(response["body"], r#"{"error":"unsupported mime: \"\u0001"}"#);
    }

    #[test]
    fn a_sender_who_must_wait_is_told_how_long() {
        let error: Result<()> = crate::error::verdict("too_many_messages 7");
        let response = serde_json::to_value(response_of(error)).unwrap();
        assert_eq!(
            (&response["statusCode"], &response["headers"]["retry-after"]),
            (&json!(429), &json!("7"))
        );
        assert_eq!(response["headers"]["ratelimit-policy"], r#""sender";q=20;w=10"#);
        assert_eq!(response["headers"]["ratelimit"], r#""sender";r=0;t=7"#);
        assert_eq!(response["body"], r#"{"error":"too many messages"}"#);
    }

    #[test]
    fn a_success_is_its_json_and_nothing_around_it() {
        let response = serde_json::to_value(response_of(Ok(json!({ "ok": true })))).unwrap();
        assert_eq!(response, json!({ "ok": true }));
    }
}
