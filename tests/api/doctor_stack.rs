//! `tinychat doctor --stack`, with a stand-in for AWS. It shows a healthy deployment of the local cloud, in which each test
//! changes one thing.

use crate::doctor::keeps_named_statements;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use support::command_line::run_with;
use support::setting;
use tokio::net::TcpListener;

const RESERVED: i64 = 4;

/// The state of AWS.
struct Aws {
    status: &'static str,
    /// Logical id, type, status, and the reason for the status.
    resources: Vec<[&'static str; 4]>,
    parameters: BTreeMap<&'static str, String>,
    secret: Value,
    quota: i64,
}

impl Aws {
    fn healthy() -> Self {
        let certificate =
            std::env::var("DATABASE_CA_CERT").map(|path| std::fs::read_to_string(path).unwrap());
        let parameters = [
            ("DatabaseCaCert", certificate.unwrap_or_default()),
            ("Release", "0123456789abcdef".to_owned()),
            ("ReservedConcurrency", RESERVED.to_string()),
            ("Secret", "tinychat-test".to_owned()),
            ("SecretVersion", "EXAMPLE1-90ab-cdef-fedc-ba987EXAMPLE".to_owned()),
            ("StorageRegion", "eu-central-1".to_owned()),
            ("SupabaseAnonKey", setting("SUPABASE_ANON_KEY")),
            ("SupabaseUrl", "https://abcdefghijkl.supabase.co".to_owned()),
        ];
        Self {
            status: "UPDATE_COMPLETE",
            resources: vec![
                ["Api", "AWS::ApiGatewayV2::Api", "CREATE_COMPLETE", ""],
                ["SendMessageFunction", "AWS::Lambda::Function", "UPDATE_COMPLETE", ""],
            ],
            parameters: parameters.into(),
            secret: json!({
                "DATABASE_URL": setting("FUNCTION_DATABASE_URL"),
                "SUPABASE_SERVICE_ROLE_KEY": setting("SUPABASE_SERVICE_ROLE_KEY"),
                "STORAGE_ACCESS_KEY_ID": "storage-id-0815",
                "STORAGE_SECRET_ACCESS_KEY": "storage-secret-4711",
            }),
            quota: 1000,
        }
    }

    /// Returns the response of one of the three services.
    fn response(&self, target: &str, path: &str, body: &str) -> Response {
        if target == "secretsmanager.GetSecretValue" {
            let asked: Value = serde_json::from_str(body).unwrap();
            assert_eq!(asked["SecretId"], self.parameters["Secret"]);
            assert_eq!(asked["VersionId"], self.parameters["SecretVersion"]);
            let response = json!({
                "Name": "tinychat-test", "VersionId": self.parameters["SecretVersion"],
                "VersionStages": ["AWSCURRENT"], "SecretString": self.secret.to_string(),
            });
            return ([(header::CONTENT_TYPE, "application/x-amz-json-1.1")], response.to_string())
                .into_response();
        }
        if path == "/2016-08-19/account-settings" {
            let limit = json!({ "ConcurrentExecutions": self.quota, "UnreservedConcurrentExecutions": self.quota - 9 });
            return axum::Json(json!({ "AccountLimit": limit })).into_response();
        }
        let (action, result) = match body {
            body if body.contains("StackName=nowhere") => {
                let error = "<ErrorResponse><Error><Type>Sender</Type><Code>ValidationError</Code>\
                    <Message>Stack with id nowhere does not exist</Message></Error></ErrorResponse>";
                return (StatusCode::BAD_REQUEST, [(header::CONTENT_TYPE, "text/xml")], error)
                    .into_response();
            }
            body if body.contains("Action=DescribeStacks&") => ("DescribeStacks", self.described()),
            body if body.contains("Action=ListStackResources&") => ("ListStackResources", self.listed()),
            body if body.contains("Action=GetTemplate&") && body.contains("TemplateStage=Processed") => {
                ("GetTemplate", format!("<TemplateBody>{}</TemplateBody>", escaped(&template().to_string())))
            }
            other => panic!("{other}"),
        };
        let xml = format!("<{action}Response><{action}Result>{result}</{action}Result></{action}Response>");
        ([(header::CONTENT_TYPE, "text/xml")], xml).into_response()
    }

    fn described(&self) -> String {
        let member = |(name, value): (&&str, &String)| {
            let (name, value) = (escaped(name), escaped(value));
            format!(
                "<member><ParameterKey>{name}</ParameterKey><ParameterValue>{value}</ParameterValue></member>"
            )
        };
        let parameters: String = self.parameters.iter().map(member).collect();
        format!(
            "<Stacks><member><StackName>test</StackName><CreationTime>2026-01-15T10:21:09Z</CreationTime>\
            <StackStatus>{}</StackStatus><Parameters>{parameters}</Parameters><Outputs><member>\
            <OutputKey>ApiUrl</OutputKey><OutputValue>{}</OutputValue></member></Outputs></member></Stacks>",
            self.status,
            setting("API_URL")
        )
    }

    fn listed(&self) -> String {
        let member = |[id, kind, status, reason]: &[&str; 4]| {
            let reason = match *reason {
                "" => String::new(),
                reason => format!("<ResourceStatusReason>{reason}</ResourceStatusReason>"),
            };
            format!(
                "<member><LogicalResourceId>{id}</LogicalResourceId><ResourceType>{kind}</ResourceType>\
                <LastUpdatedTimestamp>2026-01-15T10:21:09Z</LastUpdatedTimestamp>\
                <ResourceStatus>{status}</ResourceStatus>{reason}</member>"
            )
        };
        let members: String = self.resources.iter().map(member).collect();
        format!("<StackResourceSummaries>{members}</StackResourceSummaries>")
    }

    /// Runs `tinychat doctor` on this state. Returns the exit code, the findings by check, and all output.
    async fn doctor(self, line: &str) -> (i32, Value, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let app = Router::new().fallback(serve).with_state(Arc::new(self));
        tokio::spawn(async { axum::serve(listener, app).await });
        doctor(line, &[("AWS_ENDPOINT_URL", &url), ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")]).await
    }
}

async fn serve(State(aws): State<Arc<Aws>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    let text = |name: &str| parts.headers.get(name).map_or("", |value| value.to_str().unwrap()).to_owned();
    assert!(text("authorization").contains("AKIDEXAMPLE"), "every request is signed");
    aws.response(&text("x-amz-target"), parts.uri.path(), std::str::from_utf8(&body).unwrap())
}

/// Returns a transformed template with three functions. The parameter limits one, a number limits one, and one has no database.
fn template() -> Value {
    let function = |reserved: Value| json!({ "Type": "AWS::Lambda::Function", "Properties": { "ReservedConcurrentExecutions": reserved } });
    let parameter = || json!({ "Fn::If": ["LimitsConcurrency", { "Ref": "ReservedConcurrency" }, { "Ref": "AWS::NoValue" }] });
    json!({ "Resources": {
        "Api": { "Type": "AWS::ApiGatewayV2::Api" },
        "SendMessageFunction": function(parameter()),
        "RouteNotFoundFunction": function(parameter()),
        "CheckUsageFunction": function(json!(1)),
    } })
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Runs the doctor without the developer's AWS configuration.
async fn doctor(line: &str, changes: &[(&str, &str)]) -> (i32, Value, String) {
    let mut all = vec![
        ("AWS_CONFIG_FILE", "/dev/null"),
        ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null"),
        ("AWS_PROFILE", "default"),
        ("AWS_EC2_METADATA_DISABLED", "true"),
        ("AWS_ACCESS_KEY_ID", ""),
        ("AWS_SECRET_ACCESS_KEY", "example"),
        ("AWS_REGION", "eu-central-1"),
    ];
    all.extend(changes);
    let (code, output, errors) = run_with(&format!("--json doctor --stack {line}"), &all).await;
    let findings: Vec<Value> = serde_json::from_str(&output).unwrap_or_else(|_| panic!("{output}{errors}"));
    let by_check =
        findings.into_iter().map(|finding| (finding["check"].as_str().unwrap().to_owned(), finding));
    (code, by_check.collect(), output + &errors)
}

/// Asserts that only these checks fail, the first one with these words.
#[track_caller]
fn is_unwell((code, findings, _): &(i32, Value, String), checks: &[&str], words: &str) {
    let unwell: Vec<_> =
        findings.as_object().unwrap().values().filter(|finding| finding["well"] == "no").collect();
    let mut names: Vec<_> = unwell.iter().map(|finding| finding["check"].as_str().unwrap()).collect();
    let mut expected = checks.to_vec();
    names.sort_unstable();
    expected.sort_unstable();
    assert_eq!((*code, names), (1, expected), "{findings:#}");
    assert!(findings[checks[0]]["seen"].as_str().unwrap().contains(words), "{findings:#}");
}

#[tokio::test]
async fn a_healthy_stack_is_well_and_no_secret_is_shown() {
    let (code, findings, printed) = Aws::healthy().doctor("test").await;
    assert_eq!(code, 0, "{findings:#}");
    assert_eq!(findings.as_object().unwrap().len(), 10);
    let seen = |check: &str| findings[check]["seen"].as_str().unwrap().to_owned();
    assert!(seen("database").starts_with("tinychat_functions can log in"), "{findings:#}");
    let (connections, reserved) = (RESERVED + 1, 2 * RESERVED + 1);
    assert!(
        seen("connections").starts_with(&format!("up to {connections}, and {}", 2 * connections)),
        "{findings:#}"
    );
    assert!(seen("concurrency").starts_with(&format!("the stack reserves {reserved};")), "{findings:#}");
    let password = setting("FUNCTION_DATABASE_URL").split(['@', ':']).nth(2).unwrap().to_owned();
    for secret in [
        "storage-id-0815",
        "storage-secret-4711",
        &setting("SUPABASE_SERVICE_ROLE_KEY"),
        &format!(":{password}@"),
    ] {
        assert!(!printed.contains(secret), "{secret} in {printed}");
    }
}

#[tokio::test]
async fn a_failed_stack_is_told_with_its_resources() {
    let mut aws = Aws::healthy();
    aws.status = "UPDATE_ROLLBACK_FAILED";
    aws.resources.push([
        "Domain",
        "AWS::ApiGatewayV2::DomainName",
        "CREATE_FAILED",
        "The certificate is in us-east-1",
    ]);
    let outcome = aws.doctor("test").await;
    is_unwell(&outcome, &["stack", "resources"], "UPDATE_ROLLBACK_FAILED");
    let seen = &outcome.1["resources"]["seen"];
    assert_eq!(seen, "Domain is CREATE_FAILED: The certificate is in us-east-1");

    let rolled_back = Aws { status: "UPDATE_ROLLBACK_COMPLETE", ..Aws::healthy() };
    is_unwell(&rolled_back.doctor("test").await, &["stack"], "the last deployment failed");
    is_unwell(&Aws::healthy().doctor("nowhere").await, &["stack"], "ValidationError: Stack with id nowhere");
}

#[tokio::test]
async fn a_secret_that_lacks_a_key_or_has_the_wrong_one_is_named() {
    for (key, value, words) in [
        ("STORAGE_ACCESS_KEY_ID", json!(""), "STORAGE_ACCESS_KEY_ID"),
        ("STORAGE_SECRET_ACCESS_KEY", json!(null), "STORAGE_SECRET_ACCESS_KEY"),
        ("SUPABASE_SERVICE_ROLE_KEY", json!(setting("SUPABASE_ANON_KEY")), "SUPABASE_SERVICE_ROLE_KEY"),
    ] {
        let mut aws = Aws::healthy();
        aws.secret[key] = value;
        is_unwell(&aws.doctor("test").await, &["secret"], words);
    }
    let mut aws = Aws::healthy();
    aws.parameters.insert("RealtimeTokens", "true".to_owned());
    is_unwell(&aws.doctor("test").await, &["secret"], "REALTIME_JWT_KEY");
    let mut aws = Aws::healthy();
    aws.secret.as_object_mut().unwrap().remove("DATABASE_URL");
    is_unwell(&aws.doctor("test").await, &["secret", "database"], "DATABASE_URL");
    let aws = Aws { secret: json!("storage-secret-4711"), ..Aws::healthy() };
    let outcome = aws.doctor("test").await;
    is_unwell(&outcome, &["secret", "database"], "must be a JSON object");
    assert!(!outcome.2.contains("4711"), "{}", outcome.2);
}

#[tokio::test]
async fn a_secret_key_among_the_parameters_is_refused() {
    let mut aws = Aws::healthy();
    aws.parameters.insert("SupabaseAnonKey", setting("SUPABASE_SERVICE_ROLE_KEY"));
    is_unwell(&aws.doctor("test").await, &["parameters"], "SupabaseAnonKey must be the public key");
}

#[tokio::test]
async fn a_role_that_can_do_too_much_or_not_log_in_is_told() {
    let mut aws = Aws::healthy();
    aws.secret["DATABASE_URL"] = json!(setting("DATABASE_URL"));
    is_unwell(&aws.doctor("test").await, &["database"], "can do more than the functions' statements do");
    let mut aws = Aws::healthy();
    aws.secret["DATABASE_URL"] =
        json!("postgres://u:hunter2@aws-0-us-west-1.pooler.supabase.invalid:6543/postgres");
    let outcome = aws.doctor("test").await;
    is_unwell(&outcome, &["database", "region"], "can't be reached");
    assert!(
        outcome.1["region"]["seen"].as_str().unwrap().contains("the database in us-west-1"),
        "{:#}",
        outcome.1
    );
    assert!(
        outcome.1["connections"]["seen"].as_str().unwrap().contains("200 by --pooler-limit"),
        "{:#}",
        outcome.1
    );
    assert!(!outcome.2.contains("hunter2"), "{}", outcome.2);
}

#[tokio::test]
async fn named_statements_are_tried_through_the_pooler() {
    let mut aws = Aws::healthy();
    aws.parameters.insert("NamedStatements", "true".to_owned());
    let outcome = aws.doctor("test").await;
    if keeps_named_statements() {
        assert_eq!(outcome.0, 0, "{:#}", outcome.1);
    } else {
        is_unwell(&outcome, &["database"], "NamedStatements must be `false`");
    }
}

#[tokio::test]
async fn too_small_a_quota_or_too_many_connections_are_told_with_the_sum() {
    let small = Aws { quota: 10, ..Aws::healthy() };
    is_unwell(&small.doctor("test").await, &["concurrency"], "the stack reserves 9, and Lambda keeps 100");
    let mut many = Aws::healthy();
    many.parameters.insert("ReservedConcurrency", "300".to_owned());
    is_unwell(&many.doctor("test").await, &["connections"], "up to 301 connections, and 602 while a release");
    let mut unlimited = Aws::healthy();
    unlimited.parameters.insert("ReservedConcurrency", "0".to_owned());
    let (code, findings, _) = unlimited.doctor("test").await;
    assert_eq!(code, 0, "{findings:#}");
}

#[tokio::test]
async fn without_credentials_or_a_region_it_says_so() {
    let outcome = doctor("test", &[("AWS_ENDPOINT_URL", "http://127.0.0.1:1")]).await;
    is_unwell(&outcome, &["credentials"], "there are no AWS credentials");
    let outcome = doctor("test", &[("AWS_REGION", ""), ("AWS_DEFAULT_REGION", "")]).await;
    is_unwell(&outcome, &["credentials"], "there is no AWS region");
}
