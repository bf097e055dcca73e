//! Lambda: manages the execution environments of each function, one for each concurrent request.

mod environment;
mod runtime_api;

pub(crate) use environment::{Failure, Program};
pub(crate) use runtime_api::Outcome;

use crate::faults::Faults;
use bytes::Bytes;
use chrono::Utc;
use environment::Environment;
use parking_lot::Mutex;
use runtime_api::Invocation;
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::{Semaphore, oneshot};

/// The maximum number of processes of a function. Further requests wait.
const MAX_ENVIRONMENTS: usize = 32;

/// All functions, by name.
pub(crate) struct Functions(HashMap<String, Arc<Function>>);

/// A function and its idle environments. The one used last is taken first.
struct Function {
    program: Program,
    faults: Arc<Faults>,
    idle: Mutex<Vec<Environment>>,
    slots: Semaphore,
}

/// Whether an invocation had to start a process.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Start {
    Cold,
    Warm,
}

/// The result of an invocation.
pub(crate) struct Invoked {
    pub(crate) outcome: Result<Outcome, Failure>,
    pub(crate) start: Start,
}

impl Functions {
    pub(crate) fn new(programs: Vec<Program>, faults: &Arc<Faults>) -> Self {
        let functions = programs.into_iter().map(|program| {
            let function = Function {
                idle: Mutex::default(),
                slots: Semaphore::new(MAX_ENVIRONMENTS),
                program,
                faults: faults.clone(),
            };
            (function.program.name.clone(), Arc::new(function))
        });
        Self(functions.collect())
    }

    /// Invokes a function. An invocation that has begun continues even if the caller stops waiting.
    pub(crate) async fn invoke(&self, name: &str, request_id: &str, event: Bytes) -> Invoked {
        let failed = Invoked { outcome: Err(Failure::Died), start: Start::Cold };
        let Some(function) = self.0.get(name).cloned() else {
            return failed;
        };
        let (sender, receiver) = oneshot::channel();
        tokio::spawn(function.run(request_id.to_owned(), event, sender));
        receiver.await.unwrap_or(failed)
    }

    /// Kills every idle process.
    pub(crate) fn stop(&self) {
        for function in self.0.values() {
            function.idle.lock().clear();
        }
    }
}

impl Function {
    async fn run(self: Arc<Self>, request_id: String, event: Bytes, response: oneshot::Sender<Invoked>) {
        let program = &self.program;
        let _under_way = self.faults.invocation(request_id.clone());
        let Ok(_slot) = self.slots.acquire().await else {
            return;
        };
        let (mut environment, start) = match self.idle_environment() {
            Some(environment) => (environment, Start::Warm),
            None => match Environment::start(program).await {
                Ok(environment) => (environment, Start::Cold),
                Err(error) => return program.console.problem(&format!("{}: {error:#}", program.name)),
            },
        };
        let invocation = || Invocation {
            request_id,
            event,
            arn: format!("arn:aws:lambda:us-east-1:123456789012:function:{}", program.name),
            deadline: (Utc::now() + program.timeout).timestamp_millis(),
        };
        let outcome = environment.invoke(program, invocation).await;
        let failure = outcome.as_ref().err().copied();
        let _caller_left = response.send(Invoked { outcome, start });
        if self.faults.kill_after_response() {
            return;
        }
        let settled = match failure {
            Some(failure) => Err(failure),
            None => environment.settle(program).await,
        };
        match settled {
            Ok(()) => self.idle.lock().push(environment),
            Err(failure) => {
                program.console.problem(&format!("{0}: {failure}; see logs/{0}.log", program.name));
            }
        }
    }

    fn idle_environment(&self) -> Option<Environment> {
        let mut idle = self.idle.lock();
        while let Some(mut environment) = idle.pop() {
            if environment.is_usable(&self.program) {
                return Some(environment);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};
    use std::os::unix::fs::PermissionsExt;
    use std::path::{Path, PathBuf};
    use std::sync::LazyLock;
    use std::time::Duration;

    /// A function that responds with its process id, unless its event is `die`, `hang` or `fail`.
    const FUNCTION: &str = r#"#!/bin/sh
        api=http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation
        while event=$(curl -fsi "$api/next"); do
            id=$(echo "$event" | tr -d '\r' | sed -n 's/^lambda-runtime-aws-request-id: //p')
            case $event in
                *die) exit 1 ;;
                *hang) sleep 5 ;;
                *fail) curl -fsd '{"errorMessage": "no"}' "$api/$id/error" ;;
                *) curl -fsd $$ "$api/$id/response" ;;
            esac
        done
    "#;

    /// Two copies of it, written before any test starts a process. A process that starts during the writing would inherit
    /// the open file, and a file that is open for writing can't be executed.
    static BINARIES: LazyLock<[PathBuf; 2]> = LazyLock::new(|| {
        let folder = std::env::temp_dir().join(format!("local-lambda-{}", std::process::id()));
        std::fs::create_dir_all(folder.join("function.logs")).unwrap();
        std::fs::create_dir_all(folder.join("rebuilt.logs")).unwrap();
        ["function", "rebuilt"].map(|name| {
            let binary = folder.join(name);
            std::fs::write(&binary, FUNCTION).unwrap();
            std::fs::set_permissions(&binary, std::fs::Permissions::from_mode(0o755)).unwrap();
            binary
        })
    });

    fn functions(binary: &Path) -> Functions {
        let program = Program {
            name: "f".to_owned(),
            binary: binary.to_owned(),
            timeout: Duration::from_secs(1),
            variables: [("PATH".to_owned(), "/usr/bin:/bin".to_owned())].into(),
            freeze: true,
            console: Arc::new(crate::console::Console::new(binary.with_extension("logs"), true)),
        };
        Functions::new(vec![program], &Arc::new(Faults::new(None, None)))
    }

    /// Returns the id of the process that responds.
    async fn pid(functions: &Functions) -> Value {
        let response = functions.invoke("f", "1", "go".into()).await.outcome.unwrap().unwrap();
        serde_json::from_slice(&response).unwrap()
    }

    /// Waits until a process is stopped, which is state `T`.
    async fn until_frozen(pid: &Value) {
        while !std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap().contains(") T ") {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    #[tokio::test]
    async fn a_process_is_frozen_after_its_response_and_used_again() {
        let functions = functions(&BINARIES[0]);
        let first = pid(&functions).await;
        until_frozen(&first).await;
        assert_eq!(pid(&functions).await, first);
    }

    #[tokio::test]
    async fn requests_at_the_same_time_have_processes_of_their_own() {
        let functions = functions(&BINARIES[0]);
        let (one, other) = tokio::join!(pid(&functions), pid(&functions));
        assert_ne!(one, other);
        until_frozen(&one).await;
        until_frozen(&other).await;
        let third = pid(&functions).await;
        assert!([one, other].contains(&third));
    }

    #[tokio::test]
    async fn a_function_that_ends_fails_only_its_own_request() {
        let functions = functions(&BINARIES[0]);
        let first = pid(&functions).await;
        until_frozen(&first).await;
        let died = functions.invoke("f", "2", "die".into()).await;
        assert!(matches!(died.outcome, Err(Failure::Died)));
        assert_ne!(pid(&functions).await, first);
    }

    #[tokio::test]
    async fn a_function_that_hangs_is_ended_by_its_timeout() {
        let outcome = functions(&BINARIES[0]).invoke("f", "2", "hang".into()).await.outcome;
        assert!(matches!(outcome, Err(Failure::TimedOut)));
    }

    #[tokio::test]
    async fn an_error_is_passed_on() {
        let error =
            functions(&BINARIES[0]).invoke("f", "2", "fail".into()).await.outcome.unwrap().unwrap_err();
        assert_eq!(serde_json::from_slice::<Value>(&error).unwrap(), json!({"errorMessage": "no"}));
    }

    #[tokio::test]
    async fn a_rebuilt_function_replaces_the_old_one() {
        let functions = functions(&BINARIES[1]);
        let first = pid(&functions).await;
        until_frozen(&first).await;
        std::fs::File::open(&BINARIES[1]).unwrap().set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
        assert_ne!(pid(&functions).await, first);
    }
}
