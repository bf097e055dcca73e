//! CORS of an HTTP API. The gateway responds to preflight requests itself. It sets the CORS headers of every response to a
//! request with an `Origin`, and replaces those of the function.

use crate::template::Cors;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};

const PREFIX: &str = "access-control-";

impl Cors {
    /// Whether a request is a preflight, which doesn't reach a function.
    pub(crate) fn is_preflight(method: &Method, headers: &HeaderMap) -> bool {
        method == Method::OPTIONS
            && headers.contains_key(header::ORIGIN)
            && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
    }

    /// Replaces the CORS headers of a response. A preflight gets additional headers.
    pub(crate) fn apply(&self, request: &HeaderMap, preflight: bool, response: &mut HeaderMap) {
        let own: Vec<_> = response.keys().filter(|name| name.as_str().starts_with(PREFIX)).cloned().collect();
        for name in own {
            response.remove(name);
        }
        let Some(origin) = request.get(header::ORIGIN).and_then(|origin| self.allowed(origin)) else {
            return;
        };
        response.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        let mut set = |name: HeaderName, values: &[String]| {
            if let (false, Ok(value)) = (values.is_empty(), HeaderValue::try_from(values.join(","))) {
                response.insert(name, value);
            }
        };
        set(header::ACCESS_CONTROL_EXPOSE_HEADERS, &self.expose_headers);
        if preflight {
            set(header::ACCESS_CONTROL_ALLOW_METHODS, &self.allow_methods);
            set(header::ACCESS_CONTROL_ALLOW_HEADERS, &self.allow_headers);
            if let Some(seconds) = self.max_age {
                response.insert(header::ACCESS_CONTROL_MAX_AGE, seconds.into());
            }
        }
        if self.allow_credentials {
            response.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
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
        let own = (header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("https://evil.example"));
        let mut response = HeaderMap::from_iter([own]);
        cors.apply(&request, preflight, &mut response);
        response
    }

    #[test]
    fn the_functions_own_headers_are_replaced() {
        assert_eq!(apply(&["*"], false)["access-control-allow-origin"], "*");
        assert_eq!(apply(&["https://a.example"], false)["access-control-allow-origin"], "https://a.example");
        assert!(apply(&["https://b.example"], false).is_empty());
    }

    #[test]
    fn a_preflight_gets_the_methods_and_the_max_age() {
        let headers = apply(&["*"], true);
        assert_eq!(headers["access-control-allow-methods"], "GET,POST");
        assert_eq!(headers["access-control-max-age"], "600");
        assert_eq!(apply(&["*"], false).len(), 1);
    }
}
