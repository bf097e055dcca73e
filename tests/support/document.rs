//! docs/openapi.yaml, which describes all responses of the API.

use crate::Response;
use jsonschema::Validator;
use matchit::Router;
use reqwest::Method;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// The methods that a path of the document may have.
const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

/// The document, prepared for checking responses.
pub struct Document {
    /// The document as JSON.
    pub json: Value,
    /// The operations by path, for each method.
    operations: BTreeMap<String, Router<Operation>>,
}

/// The schemas of an operation's responses, by status.
type Operation = BTreeMap<u16, Validator>;

impl Document {
    /// Returns the document, which is read once.
    pub fn get() -> &'static Self {
        static DOCUMENT: LazyLock<Document> = LazyLock::new(Document::read);
        &DOCUMENT
    }

    fn read() -> Self {
        let text = include_str!("../../docs/openapi.yaml");
        let mut document = Self { json: yaml_serde::from_str(text).unwrap(), operations: BTreeMap::new() };
        for (method, path, operation) in document.operations() {
            let validators = document.responses(&operation).map(|(status, response)| {
                (
                    status.parse().unwrap(),
                    document.validator(&response["content"]["application/json"]["schema"]),
                )
            });
            let validators = validators.collect();
            document.operations.entry(method).or_default().insert(path, validators).unwrap();
        }
        document
    }

    /// Returns every operation with its method and path.
    pub fn operations(&self) -> Vec<(String, String, Value)> {
        let paths = self.json["paths"].as_object().unwrap();
        let all = paths.iter().flat_map(|(path, item)| {
            let methods = METHODS.iter().filter(|method| item.get(method).is_some());
            methods.map(move |method| (method.to_uppercase(), path.clone(), item[*method].clone()))
        });
        all.collect()
    }

    /// Returns an operation's responses by status, with their references resolved.
    pub fn responses(&self, operation: &Value) -> impl Iterator<Item = (String, Value)> {
        let responses: Map<String, Value> = serde_json::from_value(operation["responses"].clone()).unwrap();
        responses.into_iter().map(|(status, response)| (status, self.resolve(response)))
    }

    /// Returns the target of a reference, and any other value as it is.
    pub fn resolve(&self, value: Value) -> Value {
        match value["$ref"].as_str() {
            Some(reference) => self.json.pointer(&reference[1..]).expect(reference).clone(),
            None => value,
        }
    }

    /// Returns a validator of one of the document's schemas. It refuses fields that the schema doesn't name.
    pub fn validator(&self, schema: &Value) -> Validator {
        let mut components = self.json["components"]["schemas"].clone();
        components.as_object_mut().unwrap().values_mut().for_each(close_inside);
        let mut schema = schema.clone();
        close(&mut schema);
        let whole = json!({ "allOf": [schema], "components": { "schemas": components } });
        jsonschema::options().should_validate_formats(true).build(&whole).unwrap()
    }

    /// Asserts that the document describes a response.
    #[track_caller]
    pub fn check(&self, method: &Method, path: &str, response: &Response) {
        let path = path.split('?').next().unwrap_or_default();
        let path = path.strip_prefix("/api").unwrap_or(path);
        let Some(operation) = self.operations.get(method.as_str()).and_then(|routes| routes.at(path).ok())
        else {
            return response.error(404, "not found");
        };
        let Some(validator) = operation.value.get(&response.status) else {
            panic!("docs/openapi.yaml knows no {} of {}", response.status, response.request);
        };
        if let Err(error) = validator.validate(&response.json()) {
            panic!(
                "{} {}, docs/openapi.yaml: {error} at {}",
                response.request,
                response.status,
                error.instance_path()
            );
        }
    }

    /// Asserts that the document describes the body of a webhook.
    #[track_caller]
    pub fn check_webhook(&self, body: &Value) {
        let webhook = &self.json["webhooks"][body["type"].as_str().unwrap()]["post"];
        let validator = self.validator(&webhook["requestBody"]["content"]["application/json"]["schema"]);
        if let Err(error) = validator.validate(body) {
            panic!("{}, docs/openapi.yaml: {error} at {}", body["type"], error.instance_path());
        }
    }
}

/// Makes a schema refuse fields that it doesn't name. In the document the schemas are open, so that a generated client accepts
/// new fields.
fn close(schema: &mut Value) {
    close_inside(schema);
    if let Some(fields) = schema.as_object_mut()
        && ["$ref", "properties", "allOf"].iter().any(|keyword| fields.contains_key(*keyword))
    {
        fields.insert("unevaluatedProperties".to_owned(), Value::Bool(false));
    }
}

/// Closes the schemas inside a schema. The parts of an `allOf` stay open, because each names only some of the fields.
fn close_inside(schema: &mut Value) {
    let Some(fields) = schema.as_object_mut() else { return };
    for (keyword, value) in fields {
        match (keyword.as_str(), value) {
            ("properties", Value::Object(properties)) => properties.values_mut().for_each(close),
            ("anyOf" | "oneOf", Value::Array(schemas)) => schemas.iter_mut().for_each(close),
            ("allOf", Value::Array(schemas)) => schemas.iter_mut().for_each(close_inside),
            ("items" | "additionalProperties", schema) => close(schema),
            _ => {}
        }
    }
}
