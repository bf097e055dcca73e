//! The parts of a SAM template's structure that the local cloud needs.

use super::{Cors, Function, Route, Template};
use anyhow::{Context, bail};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// The template's parameters. Their defaults replace the values of a deployment.
#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Parameters {
    parameters: BTreeMap<String, Map<String, Value>>,
}

impl Parameters {
    fn defaults(self) -> Map<String, Value> {
        self.parameters
            .into_iter()
            .map(|(name, mut parameter)| (name, parameter.remove("Default").unwrap_or_default()))
            .chain([("AWS::StackName".to_owned(), json!("local"))]) // as in `sam local`
            .collect()
    }
}

/// The prefix of loops. They create roles, logs and alarms, which aren't needed here.
const LOOP: &str = "Fn::ForEach::";

/// Converts the document to JSON without its loops. A `!Ref` to a parameter becomes the parameter's default, and any other
/// `!Ref` the name itself. Other intrinsic functions become null, because only a deployment knows their values.
fn resolve(value: &yaml_serde::Value, parameters: &Map<String, Value>) -> Value {
    use yaml_serde::Value as Yaml;
    match value {
        Yaml::Sequence(items) => items.iter().map(|item| resolve(item, parameters)).collect(),
        Yaml::Mapping(entries) => {
            let entries = entries
                .iter()
                .filter_map(|(key, value)| Some((key.as_str()?, value)))
                .filter(|(key, _)| !key.starts_with(LOOP))
                .map(|(key, value)| (key.to_owned(), resolve(value, parameters)));
            Value::Object(entries.collect())
        }
        Yaml::Tagged(tagged) if tagged.tag == "Ref" => match tagged.value.as_str() {
            Some(name) => parameters.get(name).cloned().unwrap_or_else(|| json!(name)),
            None => Value::Null,
        },
        Yaml::Tagged(_) => Value::Null,
        scalar => serde_json::to_value(scalar).unwrap_or_default(),
    }
}

/// The template, with its parameters at their defaults.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Document {
    #[serde(default)]
    globals: Globals,
    resources: BTreeMap<String, Resource>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct Globals {
    function: FunctionProperties,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Resource {
    r#type: String,
    #[serde(default)]
    properties: Value,
    #[serde(default)]
    metadata: Metadata,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct Metadata {
    build_properties: BuildProperties,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct BuildProperties {
    binary: Option<String>,
}

#[derive(Deserialize, Default, Clone)]
#[serde(rename_all = "PascalCase", default)]
struct FunctionProperties {
    timeout: Option<u64>,
    memory_size: Option<u32>,
    environment: Environment,
    events: BTreeMap<String, Event>,
}

#[derive(Deserialize, Default, Clone)]
#[serde(rename_all = "PascalCase", default)]
struct Environment {
    variables: BTreeMap<String, Value>,
}

#[derive(Deserialize, Clone)]
#[serde(rename_all = "PascalCase")]
struct Event {
    r#type: String,
    #[serde(default)]
    properties: EventProperties,
}

#[derive(Deserialize, Default, Clone)]
#[serde(rename_all = "PascalCase", default)]
struct EventProperties {
    path: Option<String>,
    method: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct ApiProperties {
    stage_name: Option<String>,
    cors_configuration: Option<Cors>,
}

impl Document {
    pub(super) fn parse(text: &str) -> anyhow::Result<Self> {
        let document: yaml_serde::Value = yaml_serde::from_str(text)?;
        let parameters: Parameters = serde_json::from_value(resolve(&document, &Map::new()))?;
        Ok(serde_json::from_value(resolve(&document, &parameters.defaults()))?)
    }
}

impl TryFrom<Document> for Template {
    type Error = anyhow::Error;

    fn try_from(document: Document) -> anyhow::Result<Self> {
        let mut template =
            Template { functions: Vec::new(), routes: Vec::new(), cors: None, stage: "$default".to_owned() };
        for (id, resource) in document.resources {
            match resource.r#type.as_str() {
                "AWS::Serverless::HttpApi" => {
                    let api: ApiProperties = serde_json::from_value(resource.properties).context(id)?;
                    template.cors = api.cors_configuration;
                    template.stage = api.stage_name.unwrap_or(template.stage);
                }
                "AWS::Serverless::Function" => {
                    let properties =
                        serde_json::from_value(resource.properties).with_context(|| id.clone())?;
                    let Some(name) = resource.metadata.build_properties.binary else {
                        bail!("{id} has no Metadata.BuildProperties.Binary");
                    };
                    template.add_function(id, name, &document.globals.function, properties);
                }
                _ => {}
            }
        }
        Ok(template)
    }
}

impl Template {
    fn add_function(
        &mut self,
        id: String,
        name: String,
        globals: &FunctionProperties,
        own: FunctionProperties,
    ) {
        let scheduled = own.events.values().any(|event| event.r#type == "ScheduleV2");
        for event in own.events.into_values().filter(|event| event.r#type == "HttpApi") {
            self.routes.push(Route {
                method: event.properties.method.unwrap_or_else(|| "ANY".to_owned()).to_uppercase(),
                path: event.properties.path.unwrap_or_else(|| "$default".to_owned()),
                function: name.clone(),
            });
        }
        let variables = globals.environment.variables.iter().chain(&own.environment.variables);
        self.functions.push(Function {
            id,
            timeout: Duration::from_secs(own.timeout.or(globals.timeout).unwrap_or(3)),
            memory: own.memory_size.or(globals.memory_size).unwrap_or(128),
            scheduled,
            variables: variables.map(|(name, value)| (name.clone(), text(value))).collect(),
            name,
        });
    }
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}
