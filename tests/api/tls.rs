//! TLS to Postgres, fully verified. These tests need a local cloud with `DATABASE_TLS=1`.

use serde_json::{Value, json};
use support::command_line::run_with;
use support::lambda::event;
use support::relay::{database_url_at, relay};
use support::{Function, setting};

/// Returns the response of get-config with some settings changed.
async fn config_with(changes: &[(&str, &str)]) -> (u64, Value) {
    assert!(std::env::var_os("DATABASE_CA_CERT").is_some(), "start the local cloud with DATABASE_TLS=1");
    Function::start("get-config", changes).await.call(event("get-config")).await
}

fn refused() -> (u64, Value) {
    (500, json!({ "error": "database unavailable" }))
}

#[tokio::test]
async fn the_host_name_in_the_certificate_is_accepted() {
    assert!(setting("FUNCTION_DATABASE_URL").contains("sslmode=verify-full"));
    let url = database_url_at(relay("127.0.0.1:0").await);
    assert_eq!(config_with(&[("DATABASE_URL", &url)]).await.0, 200);
}

#[tokio::test]
async fn a_host_name_that_is_not_in_the_certificate_is_refused() {
    // 127.0.0.2 is this machine, too, and the relay forwards its connections to Postgres.
    let url = database_url_at(relay("127.0.0.2:0").await).replace("localhost", "127.0.0.2");
    assert!(url.contains("127.0.0.2"), "{url}");
    for mode in ["verify-full", "verify-ca", "require", "prefer"] {
        let url = url.replace("verify-full", mode);
        assert_eq!(config_with(&[("DATABASE_URL", &url)]).await, refused(), "{mode}");
    }
}

#[tokio::test]
async fn an_unknown_ca_is_refused() {
    let stranger = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap().cert.pem();
    assert_eq!(config_with(&[("DATABASE_CA_CERT", &stranger)]).await, refused());
    let public_roots = "";
    assert_eq!(config_with(&[("DATABASE_CA_CERT", public_roots)]).await, refused());
}

#[tokio::test]
async fn doctor_tells_a_wrong_ca_from_a_wrong_host() {
    let stranger = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap().cert.pem();
    let right = database_url_at(relay("127.0.0.1:0").await);
    let elsewhere = database_url_at(relay("127.0.0.2:0").await).replace("localhost", "127.0.0.2");
    let ca = setting("DATABASE_CA_CERT");
    for (url, ca, name, words) in [
        (&right, &stranger, "DATABASE_CA_CERT", "isn't the authority that issued the certificate"),
        (&right, &String::new(), "DATABASE_CA_CERT", "isn't the authority that issued the certificate"),
        (&elsewhere, &ca, "DATABASE_URL", "the certificate there is for other names"),
    ] {
        let settings = [("DATABASE_URL", url.as_str()), ("DATABASE_CA_CERT", ca)];
        let (code, output, _) = run_with("--json doctor", &settings).await;
        let findings: Vec<Value> = serde_json::from_str(&output).unwrap();
        let database = findings.iter().find(|finding| finding["check"] == "database").unwrap();
        assert_eq!((code, &database["setting"]), (1, &name.into()), "{findings:#?}");
        assert!(database["seen"].as_str().unwrap().contains(words), "{database:#}");
    }
}

#[tokio::test]
async fn the_ca_may_be_given_as_text_or_as_a_path() {
    let ca = setting("DATABASE_CA_CERT");
    assert_eq!(config_with(&[]).await.0, 200);
    let text = std::fs::read_to_string(&ca).unwrap();
    assert_eq!(config_with(&[("DATABASE_CA_CERT", &text)]).await.0, 200);
}
