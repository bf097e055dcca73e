//! template.yaml: which functions there are, which route leads to which, and what the gateway says about CORS.

use anyhow::{Context, bail};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

/// What the local cloud needs of a SAM template.
#[derive(Debug)]
pub(crate) struct Template {
    pub(crate) functions: Vec<Function>,
    pub(crate) routes: Vec<Route>,
    pub(crate) cors: Option<Cors>,
    pub(crate) stage: String,
}

/// A function, named as its binary.
#[derive(Debug)]
pub(crate) struct Function {
    /// Its name inside the template.
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) timeout: Duration,
    /// Megabytes.
    pub(crate) memory: u32,
    /// Its environment. A value that only a deployment knows is none.
    pub(crate) variables: BTreeMap<String, Option<String>>,
}

/// A route of the gateway.
#[derive(Debug)]
pub(crate) struct Route {
    /// `GET`, …, or `ANY`.
    pub(crate) method: String,
    /// `/v1/things/{id}`, or `$default`.
    pub(crate) path: String,
    pub(crate) function: String,
}

/// The gateway's `CorsConfiguration`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[derive(Default)]
pub(crate) struct Cors {
    pub(crate) allow_origins: Vec<String>,
    pub(crate) allow_methods: Vec<String>,
    pub(crate) allow_headers: Vec<String>,
    pub(crate) expose_headers: Vec<String>,
    pub(crate) max_age: Option<u32>,
    pub(crate) allow_credentials: bool,
}

impl Template {
    /// Reads the file.
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
        Self::parse(&text).with_context(|| path.display().to_string())
    }

    fn parse(text: &str) -> anyhow::Result<Self> {
        let document: yaml_serde::Value = yaml_serde::from_str(text)?;
        let plain = resolve(&document, &Map::new());
        let parameters: Parameters = serde_json::from_value(plain)?;
        let document: Document = serde_json::from_value(resolve(&document, &parameters.defaults()))?;
        document.into_template()
    }
}

/// The defaults of the template's parameters, which stand in for what a deployment is given.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[derive(Default)]
struct Parameters {
    parameters: BTreeMap<String, Map<String, Value>>,
}

impl Parameters {
    fn defaults(self) -> Map<String, Value> {
        self.parameters
            .into_iter()
            .map(|(name, mut parameter)| (name, parameter.remove("Default").unwrap_or_default()))
            .collect()
    }
}

/// The document as JSON. A `!Ref` to a parameter becomes its default and one to anything else the name itself; what
/// other intrinsic functions make only a deployment knows: null.
fn resolve(value: &yaml_serde::Value, parameters: &Map<String, Value>) -> Value {
    use yaml_serde::Value as Yaml;
    match value {
        Yaml::Sequence(items) => items.iter().map(|item| resolve(item, parameters)).collect(),
        Yaml::Mapping(entries) => {
            let entries = entries.iter().filter_map(|(key, value)| {
                let key = key
                    .as_str()
                    .map(str::to_owned)
                    .or_else(|| Some(serde_json::to_value(key).ok()?.to_string()))?;
                Some((key, resolve(value, parameters)))
            });
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

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Document {
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
    fn into_template(self) -> anyhow::Result<Template> {
        let mut template = Template {
            functions: Vec::new(),
            routes: Vec::new(),
            cors: None,
            stage: "$default".to_owned(),
        };
        for (id, resource) in self.resources {
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
                    template.add_function(id, name, &self.globals.function, properties);
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
        for event in own.events.into_values().filter(|event| event.r#type == "HttpApi") {
            self.routes.push(Route {
                method: event
                    .properties
                    .method
                    .unwrap_or_else(|| "ANY".to_owned())
                    .to_uppercase(),
                path: event.properties.path.unwrap_or_else(|| "$default".to_owned()),
                function: name.clone(),
            });
        }
        let variables = globals
            .environment
            .variables
            .iter()
            .chain(&own.environment.variables);
        self.functions.push(Function {
            id,
            timeout: Duration::from_secs(own.timeout.or(globals.timeout).unwrap_or(3)),
            memory: own.memory_size.or(globals.memory_size).unwrap_or(128),
            variables: variables
                .map(|(name, value)| (name.clone(), text(value)))
                .collect(),
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

#[cfg(test)]
mod tests {
    use super::*;

    const TEMPLATE: &str = r#"
Transform: AWS::Serverless-2016-10-31
Parameters:
  Level: { Type: String, Default: info }
  Url: { Type: String }
Globals:
  Function:
    Timeout: 10
    Environment:
      Variables: { LOG_LEVEL: !Ref Level, DATABASE_URL: !Sub "{{resolve:secretsmanager:${Secret}}}" }
Resources:
  Api:
    Type: AWS::Serverless::HttpApi
    Properties:
      StageName: api
      CorsConfiguration: { AllowOrigins: ["*"], AllowMethods: [GET, POST], MaxAge: 600 }
  GetThingFunction:
    Type: AWS::Serverless::Function
    Metadata: { BuildMethod: rust-cargolambda, BuildProperties: { Binary: get-thing } }
    Properties:
      MemorySize: 256
      Environment: { Variables: { SUPABASE_URL: !Ref Url, LIMIT: 3 } }
      Events:
        Get: { Type: HttpApi, Properties: { ApiId: !Ref Api, Path: "/v1/things/{id}", Method: get } }
        Often: { Type: ScheduleV2, Properties: { ScheduleExpression: rate(1 minute) } }
  RouteNotFoundFunction:
    Type: AWS::Serverless::Function
    Metadata: { BuildMethod: rust-cargolambda, BuildProperties: { Binary: route-not-found } }
    Properties:
      Events:
        Default: { Type: HttpApi, Properties: { ApiId: !Ref Api } }
  Alarm:
    Type: AWS::CloudWatch::Alarm
    Properties: { Dimensions: [!GetAtt Api.Id, !If [Yes, 1, 2]] }
"#;

    fn template() -> Template {
        Template::parse(TEMPLATE).unwrap()
    }

    #[test]
    fn routes_lead_to_binaries() {
        let routes: Vec<_> = template()
            .routes
            .into_iter()
            .map(|route| (route.method, route.path, route.function))
            .collect();
        let expected = [
            ("GET", "/v1/things/{id}", "get-thing"),
            ("ANY", "$default", "route-not-found"),
        ];
        assert_eq!(
            routes,
            expected.map(|(a, b, c)| (a.to_owned(), b.to_owned(), c.to_owned()))
        );
    }

    #[test]
    fn globals_hold_unless_a_function_says_otherwise() {
        let [thing, other] = <[Function; 2]>::try_from(template().functions).unwrap();
        assert_eq!((thing.timeout.as_secs(), thing.memory), (10, 256));
        assert_eq!((other.timeout.as_secs(), other.memory), (10, 128));
        assert_eq!(thing.variables["LIMIT"].as_deref(), Some("3"));
    }

    #[test]
    fn parameters_take_their_defaults_and_secrets_are_unknown() {
        let function = template().functions.remove(0);
        assert_eq!(function.variables["LOG_LEVEL"].as_deref(), Some("info"));
        assert_eq!(function.variables["DATABASE_URL"], None);
        assert_eq!(function.variables["SUPABASE_URL"], None);
    }

    #[test]
    fn cors_and_stage_are_the_apis() {
        let template = template();
        assert_eq!(template.stage, "api");
        assert_eq!(template.cors.unwrap().allow_methods, ["GET", "POST"]);
    }
}
