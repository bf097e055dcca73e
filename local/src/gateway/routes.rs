//! Routing of requests to functions, with the rules of an HTTP API: a fixed segment has priority over a parameter, and a
//! parameter over a greedy one. A request without a match goes to `$default`.

use crate::template;
use anyhow::Context;
use percent_encoding::percent_decode_str;
use std::collections::{BTreeMap, HashMap};

/// The routes of the API.
#[derive(Default)]
pub(crate) struct Routes {
    by_method: HashMap<String, matchit::Router<Route>>,
    default: Option<Route>,
}

/// A route's name in events, and its function.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Route {
    pub(crate) key: String,
    pub(crate) function: String,
}

impl Routes {
    /// Builds the routing table from the template's routes.
    pub(crate) fn new(routes: Vec<template::Route>) -> anyhow::Result<Self> {
        let mut all = Self::default();
        for template::Route { method, path, function } in routes {
            if path == "$default" {
                all.default = Some(Route { key: path, function });
                continue;
            }
            let key = format!("{method} {path}");
            let pattern = greedy_as_wildcard(&path);
            let of_method = all.by_method.entry(method).or_default();
            of_method.insert(pattern, Route { key: key.clone(), function }).context(key)?;
        }
        Ok(all)
    }

    /// Returns the route of a request and the percent-decoded path parameters. `path` has no stage.
    pub(crate) fn find(&self, method: &str, path: &str) -> Option<(&Route, BTreeMap<String, String>)> {
        let matched =
            [method, "ANY"].into_iter().find_map(|method| self.by_method.get(method)?.at(path).ok());
        let Some(matched) = matched else {
            return Some((self.default.as_ref()?, BTreeMap::new()));
        };
        let parameters = matched.params.iter().map(|(name, value)| {
            (name.to_owned(), percent_decode_str(value).decode_utf8_lossy().into_owned())
        });
        Some((matched.value, parameters.collect()))
    }
}

/// Converts a greedy parameter from the template's syntax, `{proxy+}`, to the router's, `{*proxy}`.
fn greedy_as_wildcard(path: &str) -> String {
    match path.strip_suffix("+}").and_then(|path| path.rsplit_once('{')) {
        Some((before, name)) => format!("{before}{{*{name}}}"),
        None => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(method: &str, path: &str) -> (String, Vec<String>) {
        let routes = [
            ("GET", "/v1/things"),
            ("GET", "/v1/things/{id}"),
            ("GET", "/v1/things/new"),
            ("POST", "/v1/things/{id}/parts/{part}"),
            ("ANY", "/files/{path+}"),
            ("ANY", "$default"),
        ];
        let routes = routes.map(|(method, path)| template::Route {
            method: method.to_owned(),
            path: path.to_owned(),
            function: String::new(),
        });
        let routes = Routes::new(routes.into()).unwrap();
        let (route, parameters) = routes.find(method, path).unwrap();
        (route.key.clone(), parameters.into_values().collect())
    }

    #[test]
    fn a_fixed_segment_beats_a_parameter() {
        assert_eq!(find("GET", "/v1/things/new"), ("GET /v1/things/new".into(), vec![]));
        assert_eq!(find("GET", "/v1/things/old"), ("GET /v1/things/{id}".into(), vec!["old".into()]));
    }

    #[test]
    fn the_method_must_match() {
        assert_eq!(find("DELETE", "/v1/things").0, "$default");
        assert_eq!(find("DELETE", "/files/a/b"), ("ANY /files/{path+}".into(), vec!["a/b".into()]));
    }

    #[test]
    fn parameters_are_single_segments_and_decoded() {
        assert_eq!(find("POST", "/v1/things/a%20b/parts/%C3%A9").1, ["a b", "é"]);
        assert_eq!(find("GET", "/v1/things/a/b").0, "$default");
        assert_eq!(find("GET", "/v1/things/").0, "$default");
        assert_eq!(find("GET", "/v1/things/a%2Fb").1, ["a/b"]);
    }
}
