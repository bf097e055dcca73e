//! A request to the API, without the tenant that sends it.

use crate::Chat;
use reqwest::Method;
use serde_json::{Value, json};

/// A route's example request, which the route accepts from the chat's tenant.
pub type Example = fn(&Chat) -> Request;

/// A request. [`Chat::call`] adds the tenant's key.
#[derive(Clone)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// The path and the query string.
    pub path: String,
    /// The key.
    pub key: Key,
    /// The content type, or an empty text for none.
    pub content_type: String,
    /// The body.
    pub body: Vec<u8>,
}

/// The value of the key header.
#[derive(Clone)]
pub enum Key {
    /// The tenant's publishable key.
    Own,
    /// The tenant's secret key.
    Secret,
    /// No header.
    Missing,
    /// Any other text.
    Other(String),
}

impl Request {
    /// Makes a GET request.
    pub fn get(path: impl Into<String>) -> Self {
        Self {
            method: Method::GET,
            path: path.into(),
            key: Key::Own,
            content_type: String::new(),
            body: Vec::new(),
        }
    }

    /// Makes a POST request with a JSON body.
    pub fn post(path: impl Into<String>, body: &Value) -> Self {
        Self { method: Method::POST, ..Self::get(path) }.json(body)
    }

    /// Makes a PATCH request with a JSON body.
    pub fn patch(path: impl Into<String>, body: &Value) -> Self {
        Self { method: Method::PATCH, ..Self::get(path) }.json(body)
    }

    /// Makes a DELETE request with a JSON body.
    pub fn delete(path: impl Into<String>, body: &Value) -> Self {
        Self { method: Method::DELETE, ..Self::get(path) }.json(body)
    }

    /// Returns the request with a JSON body.
    pub fn json(self, body: &Value) -> Self {
        self.body("application/json", body.to_string())
    }

    /// Returns the request with a body of this content type.
    pub fn body(self, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Self { content_type: content_type.into(), body: body.into(), ..self }
    }

    /// Returns the request with some fields of its JSON body set to other values.
    pub fn with(self, changes: &Value) -> Self {
        let mut body: Value = serde_json::from_slice(&self.body).unwrap();
        body.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        self.json(&body)
    }

    /// Returns the request with one field of its JSON body set to another value.
    pub fn with_field(self, field: &str, value: impl Into<Value>) -> Self {
        self.with(&json!({ field: value.into() }))
    }

    /// Returns the request without a field of its JSON body.
    pub fn without_field(self, field: &str) -> Self {
        let mut body: Value = serde_json::from_slice(&self.body).unwrap();
        body.as_object_mut().unwrap().remove(field);
        self.json(&body)
    }

    /// Returns the request with this text as its key.
    pub fn with_key(self, key: impl Into<String>) -> Self {
        Self { key: Key::Other(key.into()), ..self }
    }

    /// Returns the request with the tenant's secret key.
    pub fn with_secret_key(self) -> Self {
        Self { key: Key::Secret, ..self }
    }

    /// Returns the request without the key header.
    pub fn without_key(self) -> Self {
        Self { key: Key::Missing, ..self }
    }
}
