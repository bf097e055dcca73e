//! A request to the API, before it is known who sends it.

use super::Chat;
use reqwest::Method;
use serde_json::{Value, json};

/// A route's example request: one that the route accepts from the chat's tenant.
pub type Example = fn(&Chat) -> Request;

/// A request, complete but for the tenant's key.
#[derive(Clone)]
pub struct Request {
    pub method: Method,
    pub path: String,
    pub key: Key,
    pub content_type: String,
    pub body: Vec<u8>,
}

/// What goes into the key header.
#[derive(Clone)]
pub enum Key {
    /// The tenant's own key.
    Own,
    /// The tenant's secret key.
    Secret,
    /// No header at all.
    Missing,
    /// Any other text.
    Other(String),
}

impl Request {
    pub fn get(path: impl Into<String>) -> Self {
        Self {
            method: Method::GET,
            path: path.into(),
            key: Key::Own,
            content_type: String::new(),
            body: Vec::new(),
        }
    }

    pub fn post(path: impl Into<String>, body: &Value) -> Self {
        Self { method: Method::POST, ..Self::get(path) }.json(body)
    }

    pub fn patch(path: impl Into<String>, body: &Value) -> Self {
        Self { method: Method::PATCH, ..Self::get(path) }.json(body)
    }

    pub fn delete(path: impl Into<String>, body: &Value) -> Self {
        Self { method: Method::DELETE, ..Self::get(path) }.json(body)
    }

    pub fn json(self, body: &Value) -> Self {
        self.body("application/json", body.to_string())
    }

    pub fn body(self, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Self { content_type: content_type.into(), body: body.into(), ..self }
    }

    /// The request with some fields of its JSON body set to other values.
    pub fn with(self, changes: &Value) -> Self {
        let mut body: Value = serde_json::from_slice(&self.body).unwrap();
        body.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        self.json(&body)
    }

    /// The request with one field of its JSON body set to another value.
    pub fn with_field(self, field: &str, value: impl Into<Value>) -> Self {
        self.with(&json!({ field: value.into() }))
    }

    /// The request without a field of its JSON body.
    pub fn without_field(self, field: &str) -> Self {
        let mut body: Value = serde_json::from_slice(&self.body).unwrap();
        body.as_object_mut().unwrap().remove(field);
        self.json(&body)
    }

    /// The request with this text for a key.
    pub fn with_key(self, key: impl Into<String>) -> Self {
        Self { key: Key::Other(key.into()), ..self }
    }

    /// The request with the tenant's secret key.
    pub fn with_secret_key(self) -> Self {
        Self { key: Key::Secret, ..self }
    }

    /// The request without the key header.
    pub fn without_key(self) -> Self {
        Self { key: Key::Missing, ..self }
    }
}
