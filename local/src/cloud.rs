//! Starts all parts of the local cloud in order, and stops them.

use crate::console::Console;
use crate::database::Database;
use crate::deliveries;
use crate::demo_tokens;
use crate::exports::{Exports, write_env};
use crate::gateway::{self, Gateway, Routes};
use crate::lambda::{Functions, Program};
use crate::options::{Options, bind, project};
use crate::pages;
use crate::process::remove_cargo_variables;
use crate::route_functions;
use crate::schedule;
use crate::supabase;
use crate::supabase::Authorization;
use crate::supabase::keys::{ANON_KEY, Keys, SERVICE_ROLE_KEY};
use crate::supabase::storage::{Buckets, Credentials, Storage};
use crate::template::Template;
use crate::webhook_receiver;
use anyhow::{Context, bail};
use axum::Router;
use std::fs::{self, File};
use std::future::Future;
use std::net::TcpListener;
use std::sync::Arc;
use tokio::process::Command;

/// A running local cloud.
pub(crate) struct Cloud {
    pub(crate) exports: Exports,
    gateway: Arc<Gateway>,
    database: Database,
    /// The lock of `DATA_DIR`, which lasts until this run ends.
    _lock: File,
}

impl Cloud {
    /// Starts everything. A `quiet` cloud prints nothing, because the terminal belongs to the command that it runs.
    pub(crate) async fn start(options: &Options, quiet: bool) -> anyhow::Result<Self> {
        let template = Template::read(&project().join("template.yaml"))?;
        let lock = prepare_folder(options)?;
        let print = |step: &str| {
            if !quiet {
                println!("{step} …");
            }
        };
        // A port that is in use or a missing program must be reported before the build, which may take minutes.
        let api = bind(options.host, options.api_port, "API_PORT")?;
        let supabase = bind(options.host, options.supabase_port, "SUPABASE_PORT")?;
        if options.servers_dir != options.data_dir && options.database_url.is_none() {
            let (data, servers) = (options.data_dir.display(), options.servers_dir.display());
            print(&format!("Postgres can't use {data}, so its files are in {servers}"));
        }
        print("Starting Postgres");
        let database = Database::start(options).await?;
        if !options.no_build {
            print("Building the functions (the first time, this takes some minutes)");
            build(options, &template).await?;
        }
        let exports = Exports {
            api_url: url(options, &api)?,
            supabase_url: url(options, &supabase)?,
            database_url: database.url.clone(),
            function_database_url: database.function_url.clone(),
            certificate_authority: database.tls.as_ref().map(|tls| tls.authority.clone()),
            keys: Keys { anon: ANON_KEY.to_owned(), service: SERVICE_ROLE_KEY.to_owned() },
            storage: Credentials {
                region: "local".to_owned(),
                access_key_id: "local-storage".to_owned(),
                secret_access_key: "only-for-local-use".to_owned(),
            },
        };
        let sam_env = exports.for_sam(&template);

        let buckets = Buckets::read(&project().join("supabase/config.toml"))?;
        let storage = Storage::open(&options.data_dir.join("storage"), buckets, &exports.storage)?;
        let faults = Arc::new(database.faults());
        let realtime =
            Authorization::new(exports.keys.clone(), exports.database_url.clone(), options.realtime_private)?;
        tokio::spawn(supabase::serve(listener(supabase)?, realtime, storage, faults.clone()));

        let console = Arc::new(Console::new(options.data_dir.join("logs"), quiet));
        let receiver = webhook_receiver::start(&exports.database_url, console.clone()).await?;
        route_functions::watch(exports.database_url.clone(), console.clone());
        let programs = programs(options, &template, &exports, &console);
        let functions = Arc::new(Functions::new(programs, &faults));
        for function in template.functions.iter().filter(|function| function.scheduled) {
            schedule::start(functions.clone(), function.name.clone(), options.schedule);
        }
        let gateway = Arc::new(Gateway {
            functions,
            routes: Routes::new(template.routes)?,
            cors: template.cors,
            stage: template.stage,
            console,
            limits: options.aws_limits,
        });
        let pages = if options.pages {
            let tokens = demo_tokens::router(&exports.database_url).await?;
            let services = tokens.merge(deliveries::router(&exports.database_url, receiver));
            pages::router(&exports.supabase_url, services)
        } else {
            Router::new()
        };
        spawn_server(gateway::serve(listener(api)?, gateway.clone(), pages));
        fs::write(options.data_dir.join("sam-env.json"), sam_env)?;
        // This file is written last, because other programs wait for it as the sign that everything is running.
        write_env(&options.data_dir.join("env"), &exports.public(options))?;
        Ok(Self { exports, gateway, database, _lock: lock })
    }

    /// Stops everything.
    pub(crate) async fn stop(self) {
        self.gateway.functions.stop();
        self.database.stop().await;
    }
}

/// Locks `DATA_DIR` for this run, and removes the settings and logs of an earlier run. A fresh one also removes the files.
fn prepare_folder(options: &Options) -> anyhow::Result<File> {
    let folder = &options.data_dir;
    fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    let lock = File::create(folder.join("lock"))?;
    if lock.try_lock().is_err() {
        bail!("another local cloud is running in {}: set DATA_DIR to another folder", folder.display());
    }
    let _no_earlier_run = fs::remove_file(folder.join("env"));
    let _no_earlier_run = fs::remove_dir_all(folder.join("logs"));
    fs::create_dir(folder.join("logs"))?;
    if options.fresh {
        let _no_earlier_run = fs::remove_dir_all(folder.join("storage"));
    }
    Ok(lock)
}

/// Builds the functions, with cargo's progress on the terminal. Release binaries are built as for a deployment. A
/// development build covers the whole workspace: functions, tests and this program then share the features of each
/// dependency, and cargo compiles it once.
async fn build(options: &Options, template: &Template) -> anyhow::Result<()> {
    let mut cargo = Command::new("cargo");
    remove_cargo_variables(&mut cargo)
        .arg("build")
        .arg("--target-dir")
        .arg(&options.target)
        .current_dir(project());
    if options.release {
        cargo.arg("--release");
        for function in &template.functions {
            cargo.arg("--package").arg(&function.name);
        }
    } else {
        cargo.args(["--workspace", "--bins"]);
    }
    if !cargo.kill_on_drop(true).status().await.context("cargo")?.success() {
        bail!("the build of the functions failed");
    }
    Ok(())
}

fn programs(
    options: &Options,
    template: &Template,
    exports: &Exports,
    console: &Arc<Console>,
) -> Vec<Program> {
    let program = |function: &crate::template::Function| Program {
        name: function.name.clone(),
        binary: options.binaries().join(&function.name),
        timeout: function.timeout,
        variables: exports.of_function(function),
        freeze: options.freeze,
        console: console.clone(),
    };
    template.functions.iter().map(program).collect()
}

fn url(options: &Options, listener: &TcpListener) -> anyhow::Result<String> {
    Ok(format!("http://{}:{}", options.reachable_host(), listener.local_addr()?.port()))
}

fn listener(listener: TcpListener) -> std::io::Result<tokio::net::TcpListener> {
    listener.set_nonblocking(true)?;
    tokio::net::TcpListener::from_std(listener)
}

fn spawn_server(server: impl Future<Output = std::io::Result<()>> + Send + 'static) {
    tokio::spawn(async {
        if let Err(error) = server.await {
            eprintln!("error: {error}");
        }
    });
}
