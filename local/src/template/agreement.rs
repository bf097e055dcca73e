//! What describes the routes more than once agrees: template.yaml, the functions' folders, events/, the README's table of
//! routes, docs/CONFIGURATION.md, the API's description.

use super::Template;
use crate::config::project;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;

fn template() -> Template {
    Template::read(&project().join("template.yaml")).unwrap()
}

fn readme() -> String {
    fs::read_to_string(project().join("README.md")).unwrap()
}

/// The names in a folder, without their extensions.
fn names_in(folder: &str) -> BTreeSet<String> {
    let entries = fs::read_dir(project().join(folder)).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect()
}

fn functions() -> BTreeSet<String> {
    template().functions.into_iter().map(|function| function.name).collect()
}

/// `GET /v1/config` and the like, each with its function.
fn routes() -> BTreeMap<String, String> {
    let routes = template().routes.into_iter().filter(|route| route.path != "$default");
    routes.map(|route| (format!("{} {}", route.method, route.path), route.function)).collect()
}

#[test]
fn every_function_has_a_folder_and_an_event_and_no_folder_or_event_is_without() {
    assert_eq!(names_in("functions"), functions());
    assert_eq!(names_in("events"), functions());
}

#[test]
fn a_functions_name_in_the_template_is_its_folders() {
    for function in template().functions {
        let words = function.name.split('-').map(|word| word[..1].to_uppercase() + &word[1..]);
        assert_eq!(function.id, words.collect::<String>() + "Function");
    }
}

#[test]
fn the_readmes_table_of_routes_is_the_templates() {
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
fn the_configuration_explains_every_variable_that_the_template_sets() {
    let configuration = fs::read_to_string(project().join("docs/CONFIGURATION.md")).unwrap();
    let variables: BTreeSet<_> =
        template().functions.into_iter().flat_map(|function| function.variables.into_keys()).collect();
    for variable in variables {
        assert!(configuration.contains(&format!("`{variable}`")), "{variable}");
    }
}

#[test]
fn the_apis_description_has_the_templates_routes() {
    let path = project().join("docs/openapi.yaml");
    let Ok(text) = fs::read_to_string(&path) else {
        assert!(!path.exists());
        return;
    };
    let description: serde_json::Value = yaml_serde::from_str(&text).unwrap();
    let mut described = BTreeSet::new();
    for (path, methods) in description["paths"].as_object().unwrap() {
        let path = if path.starts_with("/v1/") { path.clone() } else { format!("/v1{path}") };
        for method in methods.as_object().unwrap().keys() {
            if ["get", "post", "put", "patch", "delete"].contains(&method.as_str()) {
                described.insert(format!("{} {path}", method.to_uppercase()));
            }
        }
    }
    assert_eq!(described, routes().into_keys().collect());
}
