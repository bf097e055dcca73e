//! The examples in docs/openapi.yaml. All other tests compare the API's responses with the document.

use serde_json::Value;
use support::Document;

/// Asserts that the examples of a content match its schema. Returns their number.
fn check_examples(content: &Value, place: &str) -> usize {
    let document = Document::get();
    let validator = document.validator(&content["schema"]);
    let schema = document.resolve(content["schema"].clone());
    let named = content["examples"].as_object().into_iter().flat_map(serde_json::Map::values);
    let named = named.map(|example| document.resolve(example.clone())["value"].clone());
    let single =
        [content["example"].clone(), schema["example"].clone()].into_iter().filter(|value| !value.is_null());
    let examples: Vec<_> = named.chain(single).collect();
    for example in &examples {
        if let Err(error) = validator.validate(example) {
            panic!("{place}: {error}: {example}");
        }
    }
    examples.len()
}

#[test]
fn every_error_has_an_example_and_every_example_is_valid() {
    let document = Document::get();
    for (method, path, operation) in document.operations() {
        for (status, response) in document.responses(&operation) {
            let place = format!("{method} {path} {status}");
            let examples = check_examples(&response["content"]["application/json"], &place);
            assert!(examples > 0 || status == "200", "{place} has no example");
        }
        let body = &operation["requestBody"]["content"]["application/json"];
        if body.is_object() {
            check_examples(body, &format!("{method} {path}"));
        }
    }
    for (name, schema) in document.json["components"]["schemas"].as_object().unwrap() {
        check_examples(&serde_json::json!({ "schema": schema }), name);
    }
}
