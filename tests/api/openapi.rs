//! docs/openapi.yaml itself: its routes are the template's, its examples what its schemas say. What the API answers is
//! checked against it by every other test.

use crate::support::Document;
use serde_json::Value;
use std::collections::BTreeSet;

#[test]
fn the_document_and_the_template_have_the_same_routes() {
    let template: yaml_serde::Value = yaml_serde::from_str(include_str!("../../template.yaml")).unwrap();
    let mut routes = BTreeSet::new();
    for (_, resource) in template["Resources"].as_mapping().unwrap() {
        let events = resource.get("Properties").and_then(|properties| properties.get("Events"));
        for (_, event) in events.and_then(|events| events.as_mapping()).into_iter().flatten() {
            let field = |name| event["Properties"].get(name).and_then(|value| value.as_str());
            if event["Type"].as_str() == Some("HttpApi") && field("Path") != Some("$default") {
                routes.insert(format!("{} {}", field("Method").unwrap(), field("Path").unwrap()));
            }
        }
    }
    let documented =
        Document::get().operations().into_iter().map(|(method, path, _)| format!("{method} {path}"));
    assert_eq!(documented.collect::<BTreeSet<_>>(), routes);
    assert!(routes.contains("GET /v1/config"));
}

/// Asserts that the examples of some content are what its schema says, and gives how many there are.
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
