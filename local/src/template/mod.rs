//! template.yaml: the functions, the routes and the CORS configuration.

#[cfg(test)]
mod agreement;
mod document;

use anyhow::Context;
use document::Document;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

/// The parts of a SAM template that the local cloud needs.
#[derive(Debug)]
pub(crate) struct Template {
    pub(crate) functions: Vec<Function>,
    pub(crate) routes: Vec<Route>,
    pub(crate) cors: Option<Cors>,
    pub(crate) stage: String,
}

/// A function. Its name is that of its binary.
#[derive(Debug)]
pub(crate) struct Function {
    /// Its logical id in the template.
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) timeout: Duration,
    /// In megabytes.
    pub(crate) memory: u32,
    /// Whether a schedule invokes it.
    pub(crate) scheduled: bool,
    /// Its environment variables. The value is `None` if only a deployment knows it.
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
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
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
        Document::parse(text)?.try_into()
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
      Environment: { Variables: { SUPABASE_URL: !Ref Url, LIMIT: 3, STACK: !Ref AWS::StackName } }
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
  Fn::ForEach::Functions: [Name, [GetThing], { "${Name}Role": { Type: AWS::IAM::Role } }]
"#;

    fn template() -> Template {
        Template::parse(TEMPLATE).unwrap()
    }

    #[test]
    fn routes_have_the_names_of_binaries() {
        let routes: Vec<_> =
            template().routes.into_iter().map(|route| (route.method, route.path, route.function)).collect();
        let expected = [("GET", "/v1/things/{id}", "get-thing"), ("ANY", "$default", "route-not-found")];
        assert_eq!(routes, expected.map(|(a, b, c)| (a.to_owned(), b.to_owned(), c.to_owned())));
    }

    #[test]
    fn some_functions_are_scheduled() {
        let scheduled = template().functions.iter().map(|function| function.scheduled).collect::<Vec<_>>();
        assert_eq!(scheduled, [true, false]);
    }

    #[test]
    fn a_functions_own_properties_override_globals() {
        let [thing, other] = <[Function; 2]>::try_from(template().functions).unwrap();
        assert_eq!((thing.timeout.as_secs(), thing.memory), (10, 256));
        assert_eq!((other.timeout.as_secs(), other.memory), (10, 128));
        assert_eq!(thing.variables["LIMIT"].as_deref(), Some("3"));
    }

    #[test]
    fn parameters_take_their_defaults_and_secrets_are_unknown() {
        let function = template().functions.remove(0);
        assert_eq!(function.variables["LOG_LEVEL"].as_deref(), Some("info"));
        assert_eq!(function.variables["STACK"].as_deref(), Some("local"));
        assert_eq!(function.variables["DATABASE_URL"], None);
        assert_eq!(function.variables["SUPABASE_URL"], None);
    }

    #[test]
    fn cors_and_stage_are_read_from_the_api() {
        let template = template();
        assert_eq!(template.stage, "api");
        assert_eq!(template.cors.unwrap().allow_methods, ["GET", "POST"]);
    }
}
