//! Responses: those that an HTTP API makes from a function's result, and its own.

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, Response, StatusCode, header};
use base64::prelude::{BASE64_STANDARD, Engine};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// A function's result in payload format 2.0.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FunctionResponse {
    status_code: u16,
    #[serde(default)]
    headers: BTreeMap<String, Value>,
    #[serde(default)]
    cookies: Vec<String>,
    #[serde(default)]
    body: Option<String>,
    #[serde(default)]
    is_base64_encoded: bool,
}

/// Converts a function's result to a response, or returns `None` if it is invalid. JSON without a status code is the body of
/// a 200.
pub(crate) fn from_function(json: &[u8]) -> Option<Response<Body>> {
    let value: Value = serde_json::from_slice(json).ok()?;
    if value.get("statusCode").is_none() {
        let headers = [(header::CONTENT_TYPE, "application/json")];
        return Some(axum::response::IntoResponse::into_response((headers, json.to_owned())));
    }
    let result: FunctionResponse = serde_json::from_value(value).ok()?;
    let body = result.body.unwrap_or_default();
    let body = if result.is_base64_encoded { BASE64_STANDARD.decode(body).ok()? } else { body.into_bytes() };
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::from_u16(result.status_code).ok()?;
    let headers = result.headers.into_iter().filter(|(name, _)| !name.eq_ignore_ascii_case("content-length"));
    for (name, value) in headers {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        response.headers_mut().insert(HeaderName::try_from(name).ok()?, HeaderValue::try_from(value).ok()?);
    }
    for cookie in result.cookies {
        response.headers_mut().append(header::SET_COOKIE, HeaderValue::try_from(cookie).ok()?);
    }
    Some(response)
}

/// Returns an error of the gateway itself, such as `{"message": "Not Found"}`.
pub(crate) fn from_gateway(status: StatusCode) -> Response<Body> {
    let message = match status {
        StatusCode::PAYLOAD_TOO_LARGE => "Request Entity Too Large",
        other => other.canonical_reason().unwrap_or_default(),
    };
    axum::response::IntoResponse::into_response((status, axum::Json(json!({ "message": message }))))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(response: impl ToString) -> Option<(StatusCode, String, Vec<u8>)> {
        let (parts, body) = from_function(response.to_string().as_bytes())?.into_parts();
        let content_type =
            parts.headers.get(header::CONTENT_TYPE).map(|value| value.to_str().unwrap().to_owned());
        let body = axum::body::to_bytes(body, usize::MAX).await.unwrap().to_vec();
        Some((parts.status, content_type.unwrap_or_default(), body))
    }

    #[tokio::test]
    async fn a_result_becomes_status_headers_and_body() {
        let response = json!({
            "statusCode": 201, "headers": {"content-type": "image/png", "content-length": 99},
            "multiValueHeaders": {}, "body": "/w==", "isBase64Encoded": true, "cookies": []
        });
        assert_eq!(read(response).await.unwrap(), (StatusCode::CREATED, "image/png".to_owned(), vec![0xff]));
    }

    #[tokio::test]
    async fn json_without_a_status_is_the_body() {
        let json = r#"{"b": 1, "a": 2}"#;
        let expected = (StatusCode::OK, "application/json".to_owned(), json.into());
        assert_eq!(read(json).await.unwrap(), expected);
    }

    #[tokio::test]
    async fn an_invalid_result_is_refused() {
        assert!(read(json!({"statusCode": "many"})).await.is_none());
        assert!(read(json!({"statusCode": 200, "body": "?", "isBase64Encoded": true})).await.is_none());
    }
}
