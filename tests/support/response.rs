//! A response of the API, and assertions that hold for every response.

use chrono::NaiveDateTime;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};

/// A response, read to the end.
pub struct Response {
    /// The request's method and path, for the message of a failed test.
    pub request: String,
    /// The status code.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Vec<u8>,
}

impl Response {
    /// Asserts success, and returns the JSON object with which every route responds.
    #[track_caller]
    pub fn ok(&self) -> Value {
        assert_eq!(self.status, 200, "{}: {}", self.request, self.text());
        let body = self.json();
        assert!(body.is_object(), "{}: {body}", self.request);
        body
    }

    /// Asserts a failure with exactly this status and text.
    #[track_caller]
    pub fn error(&self, status: u16, text: &str) {
        assert_eq!(
            (self.status, self.json()),
            (status, json!({ "error": text })),
            "{}: {}",
            self.request,
            self.text()
        );
    }

    /// Returns the JSON body.
    #[track_caller]
    pub fn json(&self) -> Value {
        assert!(
            self.header("content-type").starts_with("application/json"),
            "{}: {:?}",
            self.request,
            self.headers
        );
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{}: {error}: {}", self.request, self.text()))
    }

    /// Returns a header's value, or an empty text.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).chars().take(500).collect()
    }
}

/// Asserts that an object has these keys and no others.
#[track_caller]
pub fn assert_keys(object: &Value, expected: &[&str]) {
    let mut expected = expected.to_vec();
    expected.sort_unstable();
    let mut keys: Vec<_> = object.as_object().expect("an object").keys().collect();
    keys.sort_unstable();
    assert_eq!(keys, expected);
}

/// Asserts that a value is a time as the API writes it: UTC with exactly three decimals and a `Z`.
#[track_caller]
pub fn assert_time(value: &Value) {
    const FORMAT: &str = "%Y-%m-%dT%H:%M:%S%.3fZ";
    let text = value.as_str().unwrap_or_else(|| panic!("{value} is no time"));
    let time = NaiveDateTime::parse_from_str(text, FORMAT).unwrap_or_else(|error| panic!("{text}: {error}"));
    assert_eq!(time.format(FORMAT).to_string(), text);
}
