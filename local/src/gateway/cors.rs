//! CORS as an HTTP API does it: the gateway answers preflight requests itself, and sets the headers on every answer
//! to a request with an `Origin`, whatever the function says.

use crate::template::Cors;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};

const PREFIX: &str = "access-control-";

impl Cors {
    /// Whether a request asks for permission, which the gateway gives or not without a function.
    pub(crate) fn is_preflight(method: &Method, headers: &HeaderMap) -> bool {
        method == Method::OPTIONS
            && headers.contains_key(header::ORIGIN)
            && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
    }

    /// Replaces the CORS headers of an answer, of which a preflight gets some more.
    pub(crate) fn apply(&self, request: &HeaderMap, preflight: bool, answer: &mut HeaderMap) {
        let theirs: Vec<_> =
            answer.keys().filter(|name| name.as_str().starts_with(PREFIX)).cloned().collect();
        for name in theirs {
            answer.remove(name);
        }
        let Some(origin) = request.get(header::ORIGIN).and_then(|origin| self.allowed(origin)) else {
            return;
        };
        answer.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        let mut set = |name: HeaderName, values: &[String]| {
            if let (false, Ok(value)) = (values.is_empty(), HeaderValue::try_from(values.join(","))) {
                answer.insert(name, value);
            }
        };
        set(header::ACCESS_CONTROL_EXPOSE_HEADERS, &self.expose_headers);
        if preflight {
            set(header::ACCESS_CONTROL_ALLOW_METHODS, &self.allow_methods);
            set(header::ACCESS_CONTROL_ALLOW_HEADERS, &self.allow_headers);
            if let Some(seconds) = self.max_age {
                answer.insert(header::ACCESS_CONTROL_MAX_AGE, seconds.into());
            }
        }
        if self.allow_credentials {
            answer.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        }
    }

    fn allowed(&self, origin: &HeaderValue) -> Option<HeaderValue> {
        if self.allow_origins.iter().any(|allowed| allowed == "*") {
            return Some(HeaderValue::from_static("*"));
        }
        self.allow_origins
            .iter()
            .any(|allowed| allowed.as_bytes() == origin.as_bytes())
            .then(|| origin.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apply(origins: &[&str], preflight: bool) -> HeaderMap {
        let cors = Cors {
            allow_origins: origins.iter().map(ToString::to_string).collect(),
            allow_methods: vec!["GET".to_owned(), "POST".to_owned()],
            max_age: Some(600),
            ..Cors::default()
        };
        let request = HeaderMap::from_iter([(header::ORIGIN, HeaderValue::from_static("https://a.example"))]);
        let theirs = (header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("https://evil.example"));
        let mut answer = HeaderMap::from_iter([theirs]);
        cors.apply(&request, preflight, &mut answer);
        answer
    }

    #[test]
    fn the_functions_own_headers_are_replaced() {
        assert_eq!(apply(&["*"], false)["access-control-allow-origin"], "*");
        assert_eq!(apply(&["https://a.example"], false)["access-control-allow-origin"], "https://a.example");
        assert!(apply(&["https://b.example"], false).is_empty());
    }

    #[test]
    fn a_preflight_learns_more() {
        let headers = apply(&["*"], true);
        assert_eq!(headers["access-control-allow-methods"], "GET,POST");
        assert_eq!(headers["access-control-max-age"], "600");
        assert_eq!(apply(&["*"], false).len(), 1);
    }
}
