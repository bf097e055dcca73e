//! The addresses and keys of a running cloud, exported as environment variables to functions, tests and people.

use crate::options::{CONTAINERS_NAME, Options};
use crate::supabase::keys::{Keys, REALTIME_JWT_KEY};
use crate::supabase::storage::Credentials;
use crate::template::{Function, Template};
use serde_json::json;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

/// The keys of the two demo tenants, which supabase/seed.sql creates. The first has a secret key, too.
pub(crate) const TINYCHAT_API_KEY: &str = "pk_test_DemoTenantOnlyForLocalUse01";
const TINYCHAT_SECRET_KEY: &str = "sk_test_DemoTenantOnlyForLocalUse01";
const OTHER_TENANT_API_KEY: &str = "pk_test_OtherTenantOnlyForLocalUse1";

/// The addresses and keys of one run.
pub(crate) struct Exports {
    pub(crate) api_url: String,
    pub(crate) supabase_url: String,
    /// The superuser's URL, without the pooler.
    pub(crate) database_url: String,
    pub(crate) function_database_url: String,
    pub(crate) certificate_authority: Option<PathBuf>,
    pub(crate) keys: Keys,
    pub(crate) storage: Credentials,
}

/// Allows webhooks to this machine and without TLS. No deployment sets this.
const ALLOW_PRIVATE: (&str, &str) = ("WEBHOOK_ALLOW_PRIVATE", "true");

type Variables = BTreeMap<String, String>;

fn variables<const N: usize>(pairs: [(&str, &str); N]) -> Variables {
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

impl Exports {
    /// Returns the variables for tests and people, as in `DATA_DIR/env`.
    pub(crate) fn public(&self, options: &Options) -> Variables {
        let mut all = self.supabase();
        all.extend(variables([
            ("API_URL", &self.api_url),
            ("TINYCHAT_API_KEY", TINYCHAT_API_KEY),
            ("TINYCHAT_SECRET_KEY", TINYCHAT_SECRET_KEY),
            ("OTHER_TENANT_API_KEY", OTHER_TENANT_API_KEY),
            ("DATABASE_URL", &self.database_url),
            ("FUNCTION_DATABASE_URL", &self.function_database_url),
            ("DATA_DIR", &options.data_dir.to_string_lossy()),
            ("REALTIME_JWT_KEY", REALTIME_JWT_KEY),
            ALLOW_PRIVATE,
        ]));
        if let Some(authority) = &self.certificate_authority {
            all.insert("DATABASE_CA_CERT".to_owned(), authority.to_string_lossy().into_owned());
        }
        all
    }

    fn supabase(&self) -> Variables {
        variables([
            ("SUPABASE_URL", &self.supabase_url),
            ("SUPABASE_ANON_KEY", &self.keys.anon),
            ("SUPABASE_SERVICE_ROLE_KEY", &self.keys.service),
            ("STORAGE_BUCKET", "chat"),
            ("STORAGE_REGION", &self.storage.region),
            ("STORAGE_ACCESS_KEY_ID", &self.storage.access_key_id),
            ("STORAGE_SECRET_ACCESS_KEY", &self.storage.secret_access_key),
        ])
    }

    /// Returns a function's environment: the variables that the template sets, and those that Lambda adds. The value of a
    /// variable is that of this run, or else that of this program's own environment, or else the template's.
    pub(crate) fn of_function(&self, function: &Function) -> Variables {
        let mut known = self.supabase();
        known.insert("DATABASE_URL".to_owned(), self.function_database_url.clone());
        known.insert("REALTIME_JWT_KEY".to_owned(), REALTIME_JWT_KEY.to_owned());
        let authority = self.certificate_authority.as_ref().map(|path| path.to_string_lossy().into_owned());
        known.insert("DATABASE_CA_CERT".to_owned(), authority.unwrap_or_default());
        let value = |name: &str, default: &Option<String>| {
            known.get(name).cloned().or_else(|| std::env::var(name).ok()).or_else(|| default.clone())
        };
        let mut all: Variables = function
            .variables
            .iter()
            .filter_map(|(name, default)| Some((name.clone(), value(name, default)?)))
            .collect();
        all.extend(added_by_lambda(function));
        all.extend(variables([ALLOW_PRIVATE]));
        all
    }

    /// Returns the functions' environments for containers, in the format of `sam local invoke --env-vars`.
    pub(crate) fn for_sam(&self, template: &Template) -> String {
        let authority =
            self.certificate_authority.as_ref().and_then(|path| std::fs::read_to_string(path).ok());
        let mut all = BTreeMap::new();
        for function in &template.functions {
            let mut own = self.of_function(function);
            own.retain(|name, _| function.variables.contains_key(name));
            for value in own.values_mut() {
                *value = value
                    .replace("127.0.0.1", CONTAINERS_NAME)
                    .replace("@localhost:", &format!("@{CONTAINERS_NAME}:"));
            }
            if let (Some(value), Some(pem)) = (own.get_mut("DATABASE_CA_CERT"), &authority) {
                value.clone_from(pem);
            }
            all.insert(&function.id, own);
        }
        format!("{:#}\n", json!(all))
    }
}

/// Returns the variables that Lambda adds: see "Defined runtime environment variables" in its documentation.
fn added_by_lambda(function: &Function) -> Variables {
    let name = function.name.as_str();
    variables([
        ("AWS_LAMBDA_FUNCTION_NAME", name),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", &function.memory.to_string()),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
        ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand"),
        ("AWS_LAMBDA_LOG_GROUP_NAME", &format!("/aws/lambda/{name}")),
        ("AWS_LAMBDA_LOG_STREAM_NAME", "local"),
        ("AWS_REGION", "us-east-1"),
        ("AWS_DEFAULT_REGION", "us-east-1"),
        ("AWS_EXECUTION_ENV", "AWS_Lambda_provided.al2023"),
        ("LANG", "en_US.UTF-8"),
        ("PATH", "/usr/local/bin:/usr/bin:/bin:/opt/bin"),
        ("TZ", ":UTC"),
        ("_HANDLER", "bootstrap"),
    ])
}

/// Writes lines of `NAME='value'`, which shells and `.env` readers understand.
pub(crate) fn write_env(path: &Path, variables: &Variables) -> std::io::Result<()> {
    let mut file = File::create(path)?;
    variables.iter().try_for_each(|(name, value)| writeln!(file, "{name}='{}'", value.replace('\'', r"'\''")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn a_shell_reads_every_value_as_it_was_written() {
        let values =
            [("A", r#"{"kid":"x y"}"#), ("B", "/home/my folder/.local"), ("C", "it's $HOME & `more`")];
        let path = std::env::temp_dir().join(format!("{}.env", uuid::Uuid::new_v4()));
        write_env(&path, &variables(values)).unwrap();
        let script = "set -a; . \"$0\"; printf '%s\\n' \"$A\" \"$B\" \"$C\"";
        let output = Command::new("sh").args(["-c", script]).arg(&path).output().unwrap();
        std::fs::remove_file(&path).unwrap();
        let read = String::from_utf8(output.stdout).unwrap();
        assert_eq!(read.lines().collect::<Vec<_>>(), values.map(|(_, value)| value));
    }
}
