//! `tinychat doctor --stack NAME`: checks of a deployment. They read the stack, its secret and the account's limits from
//! AWS, and connect to the database with the functions' settings. They change nothing and show no secret value.

use super::database::use_named_statement;
use super::{Report, http};
use anyhow::{Context, anyhow, bail, ensure};
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_cloudformation::error::ProvideErrorMetadata;
use aws_sdk_cloudformation::types::{
    ResourceStatus, Stack, StackResourceSummary, StackStatus, TemplateStage,
};
use aws_sdk_secretsmanager::config::ProvideCredentials;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use serde_json::Value;
use shared::config::KeyKind;
use shared::db;
use std::collections::BTreeMap;
use tokio_postgres::config::Host;

/// The keys of the secret that template.yaml refers to.
const SECRET_KEYS: [&str; 4] =
    ["DATABASE_URL", "SUPABASE_SERVICE_ROLE_KEY", "STORAGE_ACCESS_KEY_ID", "STORAGE_SECRET_ACCESS_KEY"];

/// The key that the secret also has if `RealtimeTokens` is `true`.
const TOKENS_KEY: &str = "REALTIME_JWT_KEY";

/// The concurrency that Lambda keeps unreserved in every account.
const UNRESERVED: i64 = 100;

/// The port of poolers in transaction mode.
const POOLER_PORT: u16 = 6543;

/// The only function without a connection to the database.
const NO_DATABASE: &str = "RouteNotFoundFunction";

/// Checks a stack in `region`, or else in the region of the environment or the profile. The pooler accepts `pooler_limit`
/// connections.
pub async fn examine(name: &str, region: Option<String>, pooler_limit: u32, report: &Report<'_>) {
    let aws = configuration(region).await;
    report.probe("credentials", credentials(&aws)).await;
    if report.is_unhealthy() {
        return; // all other checks need credentials
    }
    let mut deployed = None;
    let read = async {
        let stack = Deployed::read(&aws, name).await?;
        deployed.insert(stack).status()
    };
    report.probe("stack", read).await;
    let Some(stack) = deployed else { return };
    report.probe("resources", resources(&aws, name)).await;
    report.probe("parameters", async { stack.parameters() }).await;
    let mut secret = BTreeMap::new();
    report.probe("secret", read_secret(&aws, &stack, &mut secret)).await;
    let url = secret.get("DATABASE_URL").map(String::as_str);
    let mut direct = None;
    report.probe("database", database(url, &stack, &mut direct)).await;
    let template = template(&aws, name).await;
    let limit = direct.unwrap_or(i64::from(pooler_limit));
    report.probe("connections", async { connections(&stack, &template, limit, direct.is_some()) }).await;
    report.probe("concurrency", concurrency(&aws, &stack, &template)).await;
    report.probe("region", async { same_region(&aws, url, &stack) }).await;
    report.probe("api", api(&stack)).await;
}

/// Returns the SDK's configuration. Region and credentials come from its usual sources: environment, profiles, single
/// sign-on and roles. The HTTP client uses ring, like all others in this project.
async fn configuration(region: Option<String>) -> SdkConfig {
    let http =
        aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https();
    let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12()).http_client(http);
    if let Some(region) = region {
        loader = loader.region(Region::new(region));
    }
    loader.load().await
}

async fn credentials(aws: &SdkConfig) -> anyhow::Result<String> {
    let region = aws.region().filter(|region| !region.as_ref().is_empty());
    let region = region.context("there is no AWS region: set AWS_REGION, or add --region")?;
    let provider = aws.credentials_provider().context("there is no source of AWS credentials")?;
    let credentials = provider.provide_credentials().await.map_err(|error| {
        // On one line: the SDK's text has a line for each source that it tried.
        let tried = format!("{:#}", anyhow!(error)).split_whitespace().collect::<Vec<_>>().join(" ");
        anyhow!(
            "there are no AWS credentials: log in with the AWS CLI, or set AWS_PROFILE, or AWS_ACCESS_KEY_ID and \
            AWS_SECRET_ACCESS_KEY ({tried})"
        )
    })?;
    Ok(format!("{} in {region}", credentials.access_key_id()))
}

/// Converts an error of an AWS service to its code and message, on one line. Other errors keep all their causes.
fn refusal<E>(error: E) -> anyhow::Error
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    match error.code() {
        Some(code) => anyhow!("{code}: {}", error.message().unwrap_or("no message")),
        None => error.into(),
    }
}

/// A stack, as described by `CloudFormation`.
struct Deployed {
    stack: Stack,
    parameters: BTreeMap<String, String>,
}

impl Deployed {
    async fn read(aws: &SdkConfig, name: &str) -> anyhow::Result<Self> {
        let request = aws_sdk_cloudformation::Client::new(aws).describe_stacks().stack_name(name);
        let response = request.send().await.map_err(refusal)?;
        let stack =
            response.stacks.unwrap_or_default().pop().with_context(|| format!("there is no stack {name}"))?;
        let pair = |parameter: &aws_sdk_cloudformation::types::Parameter| {
            Some((parameter.parameter_key()?.to_owned(), parameter.parameter_value()?.to_owned()))
        };
        let parameters = stack.parameters().iter().filter_map(pair).collect();
        Ok(Self { stack, parameters })
    }

    /// Returns a parameter's value, or `None` if it is empty.
    fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    fn status(&self) -> anyhow::Result<String> {
        let status = self.stack.stack_status().context("a stack without a status")?;
        let reason = self.stack.stack_status_reason().map(|reason| format!(": {reason}")).unwrap_or_default();
        match status {
            StackStatus::CreateComplete | StackStatus::UpdateComplete | StackStatus::ImportComplete => {
                Ok(format!("{status}, release {}", self.parameter("Release").unwrap_or("unknown")))
            }
            StackStatus::UpdateRollbackComplete => {
                bail!("{status}{reason}: the last deployment failed, and the previous one is running")
            }
            _ => bail!("{status}{reason}"),
        }
    }

    fn parameters(&self) -> anyhow::Result<String> {
        let needed = ["SupabaseUrl", "SupabaseAnonKey", "StorageRegion", "Secret"];
        let missing: Vec<_> = needed.into_iter().filter(|name| self.parameter(name).is_none()).collect();
        ensure!(missing.is_empty(), "the stack has no {}", missing.join(", "));
        ensure!(
            KeyKind::of(self.parameter("SupabaseAnonKey").unwrap_or_default()) != KeyKind::Secret,
            "SupabaseAnonKey must be the public key: it is a secret key, which get-config gives to every client"
        );
        Ok(format!("{} are set", self.parameters.len()))
    }

    /// Returns the value of `ReservedConcurrency`, or `None` if only the account's quota limits functions.
    fn reserved(&self) -> anyhow::Result<Option<i64>> {
        let value = self.parameter("ReservedConcurrency").unwrap_or("0");
        let number: i64 = value.parse().context("ReservedConcurrency isn't a number")?;
        Ok(Some(number).filter(|number| *number > 0))
    }

    fn output(&self, name: &str) -> Option<&str> {
        self.stack.outputs().iter().find(|output| output.output_key() == Some(name))?.output_value()
    }
}

async fn resources(aws: &SdkConfig, name: &str) -> anyhow::Result<String> {
    let client = aws_sdk_cloudformation::Client::new(aws);
    let mut pages = client.list_stack_resources().stack_name(name).into_paginator().items().send();
    let (mut complete, mut others) = (0, Vec::new());
    while let Some(resource) = pages.next().await {
        let resource = resource.map_err(refusal)?;
        match resource.resource_status() {
            Some(
                ResourceStatus::CreateComplete
                | ResourceStatus::UpdateComplete
                | ResourceStatus::ImportComplete
                | ResourceStatus::UpdateRollbackComplete,
            ) => complete += 1,
            // From an earlier release, such as a function's old versions.
            Some(ResourceStatus::DeleteComplete | ResourceStatus::DeleteSkipped) => {}
            _ => others.push(described(&resource)),
        }
    }
    ensure!(others.is_empty(), "{}", others.join("; "));
    Ok(format!("all {complete} are complete"))
}

fn described(resource: &StackResourceSummary) -> String {
    let id = resource.logical_resource_id().unwrap_or("a resource");
    let status = resource.resource_status().map_or("without a status", ResourceStatus::as_str);
    match resource.resource_status_reason() {
        Some(reason) => format!("{id} is {status}: {reason}"),
        None => format!("{id} is {status}"),
    }
}

async fn read_secret(
    aws: &SdkConfig,
    stack: &Deployed,
    values: &mut BTreeMap<String, String>,
) -> anyhow::Result<String> {
    let name = stack.parameter("Secret").context("the stack has no Secret")?;
    let version = stack.parameter("SecretVersion");
    let request = aws_sdk_secretsmanager::Client::new(aws).get_secret_value().secret_id(name);
    let response = request.set_version_id(version.map(str::to_owned)).send().await.map_err(refusal)?;
    let text = response.secret_string().with_context(|| format!("{name} has no text"))?;
    let Ok(Value::Object(fields)) = serde_json::from_str(text) else {
        bail!("{name} must be a JSON object");
    };
    values.extend(fields.iter().filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))));
    let signs = stack.parameter("RealtimeTokens") == Some("true");
    let missing = |key: &&str| values.get(*key).is_none_or(String::is_empty);
    let needed = SECRET_KEYS.into_iter().chain(signs.then_some(TOKENS_KEY));
    let missing: Vec<_> = needed.filter(missing).collect();
    ensure!(missing.is_empty(), "{name} must have text in {}", missing.join(", "));
    ensure!(
        values.get("SUPABASE_SERVICE_ROLE_KEY").is_none_or(|key| KeyKind::of(key) != KeyKind::Public),
        "SUPABASE_SERVICE_ROLE_KEY in {name} must be the secret key: it is the public key"
    );
    let id = response.version_id().unwrap_or("unknown");
    let current = response.version_stages().iter().any(|stage| stage == "AWSCURRENT");
    Ok(match (version, current) {
        (Some(_), true) => format!("{name} has all keys; the stack has its current version {id}"),
        (Some(_), false) => {
            format!("{name} has all keys; the stack has version {id}, and a newer one is current")
        }
        (None, _) => format!(
            "{name} has all keys; SecretVersion is empty, so functions have the version that was current at their \
            deployment, which may be older than {id}"
        ),
    })
}

/// Connects to the database with the functions' settings. Without a pooler, sets `direct` to the number of connections
/// that the database accepts.
async fn database(url: Option<&str>, stack: &Deployed, direct: &mut Option<i64>) -> anyhow::Result<String> {
    let url = url.context("the secret has no DATABASE_URL")?;
    let settings = db::settings_for(url, stack.parameter("DatabaseCaCert"));
    let (config, tls) = settings.map_err(|error| anyhow!(error))?;
    let (client, connection) =
        config.connect(tls.clone()).await.context("DATABASE_URL of the secret can't be reached from here")?;
    tokio::spawn(connection);
    let sql = include_str!("rights.sql");
    let rows =
        client.query_typed(sql, &[]).await.context("the schema may be missing: run `tinychat migrate`")?;
    let row = rows.first().context("a statement returned no row")?;
    let name: String = row.try_get("name")?;
    ensure!(row.try_get::<_, bool>("is_member")?, "{name} must have the rights of tinychat_functions");
    ensure!(
        !row.try_get::<_, bool>("is_owner")?,
        "{name} can do more than the functions' statements do: create a role with `tinychat role create`"
    );
    if stack.parameter("NamedStatements") == Some("true") {
        let named = use_named_statement(&config, &tls).await;
        named.context("NamedStatements must be `false`: the pooler doesn't keep them")?;
    }
    if config.get_ports().contains(&POOLER_PORT) {
        return Ok(format!("{name} can log in through the pooler"));
    }
    *direct = Some(row.try_get("connections")?);
    Ok(format!("{name} can log in; the port isn't that of a pooler in transaction mode ({POOLER_PORT})"))
}

/// Returns the template as processed by `CloudFormation`: without loops and SAM's resources.
async fn template(aws: &SdkConfig, name: &str) -> anyhow::Result<Value> {
    let client = aws_sdk_cloudformation::Client::new(aws);
    let request = client.get_template().stack_name(name).template_stage(TemplateStage::Processed);
    let response = request.send().await.map_err(refusal)?;
    let body = response.template_body().context("the stack has no template")?;
    serde_json::from_str(body).context("the stack's template isn't JSON")
}

/// Returns the maximum number of each function's concurrent environments, by logical id. `None` means that only the
/// account's quota limits them.
fn environments<'a>(stack: &Deployed, template: &'a Value) -> anyhow::Result<Vec<(&'a str, Option<i64>)>> {
    let reserved = stack.reserved()?;
    let resources =
        template.get("Resources").and_then(Value::as_object).context("a template without Resources")?;
    let functions = resources
        .iter()
        .filter(|(_, resource)| resource.get("Type").is_some_and(|kind| kind == "AWS::Lambda::Function"));
    let functions: Vec<_> = functions
        .map(|(id, resource)| {
            let limit = match resource.pointer("/Properties/ReservedConcurrentExecutions") {
                None => None,
                Some(Value::Number(number)) => number.as_i64(),
                Some(Value::String(text)) => text.parse().ok(),
                Some(_) => reserved, // the parameter, under a condition
            };
            (id.as_str(), limit)
        })
        .collect();
    ensure!(!functions.is_empty(), "the stack's template has no function");
    Ok(functions)
}

fn connections(
    stack: &Deployed,
    template: &anyhow::Result<Value>,
    limit: i64,
    direct: bool,
) -> anyhow::Result<String> {
    let template = template.as_ref().map_err(|error| anyhow!("{error:#}"))?;
    let functions = environments(stack, template)?;
    let counted: Vec<_> = functions.iter().filter(|(id, _)| *id != NO_DATABASE).collect();
    if counted.iter().any(|(_, limit)| limit.is_none()) {
        return Ok("ReservedConcurrency is 0, so only the account's quota limits connections".to_owned());
    }
    let most: i64 = counted.iter().filter_map(|(_, limit)| *limit).sum();
    let accepted = if direct {
        format!("the database accepts {limit}")
    } else {
        format!("the pooler accepts {limit} by --pooler-limit")
    };
    ensure!(
        2 * most <= limit,
        "functions have up to {most} connections, and {} while a release replaces them; {accepted}",
        2 * most
    );
    Ok(format!("up to {most}, and {} while a release replaces them; {accepted}", 2 * most))
}

async fn concurrency(
    aws: &SdkConfig,
    stack: &Deployed,
    template: &anyhow::Result<Value>,
) -> anyhow::Result<String> {
    let response = aws_sdk_lambda::Client::new(aws).get_account_settings().send().await.map_err(refusal)?;
    let limit = response.account_limit().context("Lambda reports no limit")?;
    let quota = i64::from(limit.concurrent_executions());
    let template = template.as_ref().map_err(|error| anyhow!("{error:#}"))?;
    let reserved: i64 = environments(stack, template)?.iter().filter_map(|(_, limit)| *limit).sum();
    let free = limit.unreserved_concurrent_executions().map(|free| format!(", {free} of it unreserved"));
    let free = free.unwrap_or_default();
    ensure!(
        quota >= reserved + UNRESERVED,
        "the stack reserves {reserved}, and Lambda keeps {UNRESERVED} unreserved, but the account's quota is {quota}{free}: \
        ask AWS for more, or set ReservedConcurrency to 0"
    );
    Ok(format!("the stack reserves {reserved}; the account's quota is {quota}{free}"))
}

fn same_region(aws: &SdkConfig, url: Option<&str>, stack: &Deployed) -> anyhow::Result<String> {
    let ours = aws.region().context("no region")?.as_ref();
    let config: Option<tokio_postgres::Config> = url.and_then(|url| url.parse().ok());
    let host = config.as_ref().and_then(|config| match config.get_hosts().first() {
        Some(Host::Tcp(host)) => region_in(host),
        _ => None,
    });
    match (host, stack.parameter("StorageRegion")) {
        (Some(theirs), _) => {
            ensure!(
                theirs == ours,
                "the stack is in {ours} and the database in {theirs}: each request travels between the two regions"
            );
            Ok(format!("stack and database are in {ours}"))
        }
        (None, Some(storage)) => Ok(format!(
            "the database's region is unknown; the stack is in {ours}, StorageRegion is {storage}"
        )),
        (None, None) => Ok(format!("the database's region is unknown; the stack is in {ours}")),
    }
}

/// Returns the AWS region in a host's name, such as aws-0-eu-central-1.pooler.supabase.com.
fn region_in(host: &str) -> Option<&str> {
    host.split('.').find_map(|label| {
        let numbered = label.strip_prefix("aws-").and_then(|rest| rest.split_once('-'));
        let region = numbered.map_or(label, |(_, region)| region);
        let mut words = region.split('-').rev();
        let number = words.next()?;
        let direction = words.next()?;
        let is_region = !number.is_empty()
            && number.bytes().all(|digit| digit.is_ascii_digit())
            && ["north", "south", "east", "west", "central"].iter().any(|end| direction.ends_with(end))
            && words.next().is_some();
        is_region.then_some(region)
    })
}

/// Checks that the gateway, a route and its function exist. Without a key, the function's response is TinyChat's 401.
async fn api(stack: &Deployed) -> anyhow::Result<String> {
    let url = stack.output("ApiUrl").context("the stack has no output ApiUrl")?;
    let response = http()?.get(format!("{url}/v1/config")).send().await;
    let response = response.with_context(|| format!("{url} can't be reached from here"))?;
    let status = response.status();
    let body: Value = response.json().await.unwrap_or_default();
    ensure!(
        status == 401 && body.get("error").is_some_and(|text| text == "missing x-tinychat-api-key header"),
        "{url}/v1/config responds with {status}; without a key, get-config's response should be 401"
    );
    Ok(format!("{url} responds"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn all_keys_of_the_secret_in_the_template_are_known() {
        let template = include_str!("../../../template.yaml");
        let named = template.split(":SecretString:").skip(1).filter_map(|rest| rest.split(':').next());
        let known = SECRET_KEYS.into_iter().chain([TOKENS_KEY]);
        assert_eq!(named.collect::<BTreeSet<_>>(), known.collect());
    }

    #[test]
    fn the_region_is_part_of_some_hosts_names() {
        for (host, region) in [
            ("aws-0-eu-central-1.pooler.supabase.com", Some("eu-central-1")),
            ("aws-1-ap-southeast-2.pooler.supabase.com", Some("ap-southeast-2")),
            ("chat.abcdefghijkl.us-gov-west-1.rds.amazonaws.com", Some("us-gov-west-1")),
            ("db.abcdefghijkl.supabase.co", None),
            ("my-db-1.example.com", None),
            ("127.0.0.1", None),
            ("localhost", None),
        ] {
            assert_eq!(region_in(host), region, "{host}");
        }
    }
}
