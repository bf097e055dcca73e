//! The event that an HTTP API sends to a function for a request, in payload format 2.0.

use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use base64::prelude::{BASE64_STANDARD, Engine};
use chrono::{DateTime, Utc};
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// The parts of an event that aren't in the request itself.
pub(crate) struct Context<'a> {
    pub(crate) route_key: &'a str,
    pub(crate) path_parameters: BTreeMap<String, String>,
    pub(crate) stage: &'a str,
    pub(crate) source_ip: IpAddr,
    pub(crate) request_id: &'a str,
    pub(crate) time: DateTime<Utc>,
}

/// Builds the event.
pub(crate) fn build(parts: &Parts, body: &[u8], context: &Context<'_>) -> Value {
    let path = percent_decode_str(parts.uri.path()).decode_utf8_lossy();
    let query = parts.uri.query().unwrap_or_default();
    let host = text(&parts.headers, header::HOST.as_str());
    let (body, is_base64) = encode_body(&parts.headers, body);
    let mut event = json!({
        "version": "2.0",
        "routeKey": context.route_key,
        "rawPath": path,
        "rawQueryString": query,
        "headers": headers(&parts.headers, context.source_ip),
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "local",
            "domainName": host,
            "domainPrefix": host.split(['.', ':']).next(),
            "http": {
                "method": parts.method.as_str(),
                "path": path,
                "protocol": format!("{:?}", parts.version),
                "sourceIp": context.source_ip,
                "userAgent": text(&parts.headers, header::USER_AGENT.as_str()),
            },
            "requestId": context.request_id,
            "routeKey": context.route_key,
            "stage": context.stage,
            "time": context.time.format("%d/%b/%Y:%H:%M:%S %z").to_string(),
            "timeEpoch": context.time.timestamp_millis(),
        },
        "isBase64Encoded": is_base64,
    });
    let optional = [
        ("cookies", cookies(&parts.headers)),
        ("queryStringParameters", query_parameters(query)),
        ("pathParameters", some_if(!context.path_parameters.is_empty(), json!(context.path_parameters))),
        ("body", body.map(Value::String)),
    ];
    if let Value::Object(event) = &mut event {
        event.extend(optional.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
    }
    event
}

/// Returns the headers, with names in lower case. The values of a repeated header are joined with commas.
fn headers(headers: &HeaderMap, source_ip: IpAddr) -> Value {
    let mut all = Map::from_iter([
        ("x-forwarded-for".to_owned(), json!(source_ip)),
        ("x-forwarded-proto".to_owned(), json!("http")),
    ]);
    for name in headers.keys().filter(|name| *name != header::COOKIE) {
        all.insert(name.to_string(), json!(text(headers, name.as_str())));
    }
    Value::Object(all)
}

fn text(headers: &HeaderMap, name: &str) -> String {
    let values = headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes()));
    values.collect::<Vec<_>>().join(",")
}

fn cookies(headers: &HeaderMap) -> Option<Value> {
    let cookies = headers.get_all(header::COOKIE).iter();
    let cookies: Vec<_> =
        cookies.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split("; ")).collect();
    some_if(!cookies.is_empty(), json!(cookies))
}

/// Returns the query parameters. The values of a repeated parameter are joined with commas.
fn query_parameters(query: &str) -> Option<Value> {
    let mut all = BTreeMap::<_, Vec<_>>::new();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        all.entry(name).or_default().push(value);
    }
    let joined: Map<_, _> =
        all.into_iter().map(|(name, values)| (name.into_owned(), json!(values.join(",")))).collect();
    some_if(!joined.is_empty(), Value::Object(joined))
}

/// Returns the body, and whether it is base64. Text stays as it is, an empty body is left out, and everything else is
/// encoded.
fn encode_body(headers: &HeaderMap, body: &[u8]) -> (Option<String>, bool) {
    if body.is_empty() {
        return (None, false);
    }
    match std::str::from_utf8(body) {
        Ok(text) if is_text(headers) => (Some(text.to_owned()), false),
        _ => (Some(BASE64_STANDARD.encode(body)), true),
    }
}

fn is_text(headers: &HeaderMap) -> bool {
    let content_type = text(headers, header::CONTENT_TYPE.as_str()).to_ascii_lowercase();
    let mime = content_type.split(';').next().unwrap_or_default().trim();
    let text_types = [
        "application/json",
        "application/javascript",
        "application/xml",
        "application/x-www-form-urlencoded",
    ];
    mime.starts_with("text/") || text_types.contains(&mime)
}

fn some_if(condition: bool, value: Value) -> Option<Value> {
    condition.then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::Request;
    use proptest::prelude::*;

    fn event(request: axum::http::request::Builder, body: &[u8]) -> Value {
        event_with(request, body, BTreeMap::from([("id".to_owned(), "a b".to_owned())]))
    }

    fn event_with(
        request: axum::http::request::Builder,
        body: &[u8],
        path_parameters: BTreeMap<String, String>,
    ) -> Value {
        let context = Context {
            route_key: "GET /things/{id}",
            path_parameters,
            stage: "api",
            source_ip: [127, 0, 0, 1].into(),
            request_id: "r1",
            time: DateTime::from_timestamp_millis(1_768_472_469_114).unwrap(),
        };
        build(&request.body(()).unwrap().into_parts().0, body, &context)
    }

    #[test]
    fn a_whole_event() {
        let request = Request::get("/api/things/a%20b?x=1&y=%2B&x=2")
            .header("Host", "localhost:3000")
            .header("User-Agent", "curl")
            .header("X-Many", "1")
            .header("X-Many", "2")
            .header("Cookie", "a=1; b=2");
        let expected = json!({
            "version": "2.0",
            "routeKey": "GET /things/{id}",
            "rawPath": "/api/things/a b",
            "rawQueryString": "x=1&y=%2B&x=2",
            "cookies": ["a=1", "b=2"],
            "headers": {
                "host": "localhost:3000", "user-agent": "curl", "x-many": "1,2",
                "x-forwarded-for": "127.0.0.1", "x-forwarded-proto": "http"
            },
            "queryStringParameters": {"x": "1,2", "y": "+"},
            "pathParameters": {"id": "a b"},
            "requestContext": {
                "accountId": "123456789012", "apiId": "local",
                "domainName": "localhost:3000", "domainPrefix": "localhost",
                "http": {
                    "method": "GET", "path": "/api/things/a b", "protocol": "HTTP/1.1",
                    "sourceIp": "127.0.0.1", "userAgent": "curl"
                },
                "requestId": "r1", "routeKey": "GET /things/{id}", "stage": "api",
                "time": "15/Jan/2026:10:21:09 +0000", "timeEpoch": 1_768_472_469_114_i64
            },
            "isBase64Encoded": false
        });
        assert_eq!(event(request, b""), expected);
    }

    #[test]
    fn only_valid_text_stays_unencoded() {
        let body = |content_type: &str, body: &[u8]| {
            let event = event(Request::post("/").header("Content-Type", content_type), body);
            (event["body"].clone(), event["isBase64Encoded"].clone())
        };
        assert_eq!(body("application/json; charset=utf-8", b"{}"), (json!("{}"), json!(false)));
        assert_eq!(body("multipart/form-data; boundary=x", b"--x"), (json!("LS14"), json!(true)));
        assert_eq!(body("text/plain", b"\xff"), (json!("/w=="), json!(true)));
    }

    proptest! {
        #[test]
        fn a_function_reads_what_was_sent(
            body: Vec<u8>,
            content_type in "(application/json|text/plain|image/png|multipart/form-data)(; [a-z]{1,9}=[a-z]{1,9})?",
            id: u128,
            word in "[^\\x00]{1,200}",
        ) {
            let query: String =
                form_urlencoded::Serializer::new(String::new()).append_pair("word", &word).finish();
            let request = Request::post(format!("/api/x?{query}&word=another"))
                .header("Content-Type", &content_type)
                .header("X-TinyChat-Api-Key", "pk_test_abcdefghijklmnopqrstuvwx");
            let id = uuid::Uuid::from_u128(id).to_string();
            let parameters = BTreeMap::from([("id".to_owned(), id.clone()), ("msgId".to_owned(), id.clone())]);
            let event = event_with(request, &body, parameters).to_string();
            let read = shared::http::Request::from_event(event.as_bytes()).unwrap();
            prop_assert_eq!(&read.body()[..], &body[..]);
            prop_assert_eq!(read.content_type(), content_type);
            prop_assert_eq!(read.conversation_id().to_string(), id.clone());
            prop_assert_eq!(read.message_id().to_string(), id);
            prop_assert_eq!(&*read.query().required::<shared::fields::ShortText>("word").unwrap(), word);
            prop_assert!(read.credential().is_ok());
        }
    }
}
