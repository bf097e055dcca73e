//! Tests that all lists of routes and functions agree: template.yaml, the functions' folders, events/, the README's table of
//! routes, docs/CONFIGURATION.md and docs/openapi.yaml.

use super::Template;
use crate::options::project;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;

fn template() -> Template {
    Template::read(&project().join("template.yaml")).unwrap()
}

fn readme() -> String {
    fs::read_to_string(project().join("README.md")).unwrap()
}

/// Returns the names in a folder, without extensions.
fn names_in(folder: &str) -> BTreeSet<String> {
    let entries = fs::read_dir(project().join(folder)).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect()
}

fn functions() -> BTreeSet<String> {
    template().functions.into_iter().map(|function| function.name).collect()
}

/// Returns the routes, such as `GET /v1/config`, each with its function.
fn routes() -> BTreeMap<String, String> {
    let routes = template().routes.into_iter().filter(|route| route.path != "$default");
    routes.map(|route| (format!("{} {}", route.method, route.path), route.function)).collect()
}

#[test]
fn functions_folders_and_events_have_the_same_names() {
    assert_eq!(names_in("functions"), functions());
    assert_eq!(names_in("events"), functions());
}

#[test]
fn every_route_has_a_test_file() {
    for function in routes().into_values() {
        let file = format!("tests/api/{}.rs", function.replace('-', "_"));
        assert!(project().join(&file).exists(), "{file} is missing");
    }
}

#[test]
fn a_functions_id_in_the_template_is_made_from_its_name() {
    for function in template().functions {
        let words = function.name.split('-').map(|word| word[..1].to_uppercase() + &word[1..]);
        assert_eq!(function.id, words.collect::<String>() + "Function");
    }
}

#[test]
fn the_readme_lists_the_templates_routes() {
    let readme = readme();
    let (_, table) = readme.split_once("| route | function |\n|---|---|\n").unwrap();
    let mut listed = BTreeMap::new();
    let mut others = BTreeSet::new();
    for row in table.lines().take_while(|line| line.starts_with('|')) {
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        let function = cells[2].split(':').next().unwrap().to_owned();
        match cells[1].strip_prefix('`').and_then(|cell| cell.strip_suffix('`')) {
            Some(route) => assert!(listed.insert(route.to_owned(), function).is_none(), "{row}"),
            None => assert!(others.insert(function), "{row}"),
        }
    }
    assert_eq!(listed, routes());
    let routed: BTreeSet<_> = listed.into_values().collect();
    assert_eq!(others, functions().difference(&routed).cloned().collect());
}

#[test]
fn docs_configuration_has_every_variable_of_the_template() {
    let configuration = fs::read_to_string(project().join("docs/CONFIGURATION.md")).unwrap();
    let variables: BTreeSet<_> =
        template().functions.into_iter().flat_map(|function| function.variables.into_keys()).collect();
    for variable in variables {
        assert!(configuration.contains(&format!("`{variable}`")), "docs/CONFIGURATION.md has no {variable}");
    }
}

#[test]
fn openapi_has_the_templates_routes() {
    let text = fs::read_to_string(project().join("docs/openapi.yaml")).unwrap();
    let description: serde_json::Value = yaml_serde::from_str(&text).unwrap();
    let mut described = BTreeSet::new();
    for (path, methods) in description["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys() {
            if ["get", "post", "put", "patch", "delete"].contains(&method.as_str()) {
                described.insert(format!("{} {path}", method.to_uppercase()));
            }
        }
    }
    assert_eq!(described, routes().into_keys().collect());
}
