//! Brings all parts up in order, and down again.

use crate::config::{Config, bind, project};
use crate::console::Console;
use crate::database::Database;
use crate::gateway::{self, Gateway, Routes};
use crate::lambda::{Functions, Program};
use crate::pages;
use crate::process::forget_cargo;
use crate::route_functions;
use crate::schedule;
use crate::settings::{Settings, write_env};
use crate::supabase;
use crate::supabase::Authorization;
use crate::supabase::keys::{ANON_KEY, Keys, SERVICE_ROLE_KEY};
use crate::supabase::storage::{Buckets, Credentials, Storage};
use crate::template::Template;
use crate::webhooks;
use anyhow::{Context, bail};
use axum::Router;
use std::fs::{self, File};
use std::future::Future;
use std::net::TcpListener;
use std::sync::Arc;
use tokio::process::Command;

/// A local cloud that is up.
pub(crate) struct Cloud {
    pub(crate) settings: Settings,
    gateway: Arc<Gateway>,
    database: Database,
    /// Keeps `DATA_DIR` to this run.
    _lock: File,
}

impl Cloud {
    /// Starts everything. A cloud that runs a command leaves the terminal to it.
    pub(crate) async fn start(config: &Config, quiet: bool) -> anyhow::Result<Self> {
        let template = Template::read(&project().join("template.yaml"))?;
        let lock = prepare_folder(config)?;
        let tell = |what: &str| {
            if !quiet {
                println!("{what} …");
            }
        };
        // What may be missing or taken comes before the build, which may take minutes.
        let api = bind(config.host, config.api_port, "API_PORT")?;
        let supabase = bind(config.host, config.supabase_port, "SUPABASE_PORT")?;
        if config.servers_dir != config.data_dir && config.database_url.is_none() {
            let (data, servers) = (config.data_dir.display(), config.servers_dir.display());
            tell(&format!("Postgres may not enter {data}, so its files are in {servers}"));
        }
        tell("Starting Postgres");
        let database = Database::start(config).await?;
        if !config.no_build {
            tell("Building the functions, which takes some minutes the first time");
            build(config, &template).await?;
        }
        let settings = Settings {
            api_url: url(config, &api)?,
            supabase_url: url(config, &supabase)?,
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
        let sam_env = settings.for_sam(&template);

        let buckets = Buckets::read(&project().join("supabase/config.toml"))?;
        let storage = Storage::open(&config.data_dir.join("storage"), buckets, &settings.storage)?;
        let faults = Arc::new(database.faults());
        let realtime = Authorization::new(settings.keys.clone(), settings.database_url.clone())?;
        tokio::spawn(supabase::serve(listener(supabase)?, realtime, storage, faults.clone()));

        let console = Arc::new(Console::new(config.data_dir.join("logs"), quiet));
        webhooks::start(&settings.database_url, console.clone()).await?;
        route_functions::follow(settings.database_url.clone(), console.clone());
        let programs = programs(config, &template, &settings, &console);
        let functions = Arc::new(Functions::new(programs, &faults));
        for function in template.functions.iter().filter(|function| function.scheduled) {
            schedule::start(functions.clone(), function.name.clone(), config.schedule);
        }
        let gateway = Arc::new(Gateway {
            functions,
            routes: Routes::new(template.routes)?,
            cors: template.cors,
            stage: template.stage,
            console,
            limits: config.aws_limits,
        });
        let pages = if config.pages { pages::router(&settings.supabase_url) } else { Router::new() };
        in_background(gateway::serve(listener(api)?, gateway.clone(), pages));
        fs::write(config.data_dir.join("sam-env.json"), sam_env)?;
        write_env(&config.data_dir.join("env"), &settings.public(config))?; // last: who waits for it finds all up
        Ok(Self { settings, gateway, database, _lock: lock })
    }

    /// Stops everything.
    pub(crate) async fn stop(self) {
        self.gateway.functions.stop();
        self.database.stop().await;
    }
}

/// Takes `DATA_DIR` for this run, and takes away what an earlier one said of itself.
fn prepare_folder(config: &Config) -> anyhow::Result<File> {
    let folder = &config.data_dir;
    fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    let lock = File::create(folder.join("lock"))?;
    if lock.try_lock().is_err() {
        bail!("a local cloud already runs in {}; set DATA_DIR for a second one", folder.display());
    }
    let _no_earlier_run = fs::remove_file(folder.join("env"));
    let _no_earlier_run = fs::remove_dir_all(folder.join("logs"));
    fs::create_dir(folder.join("logs"))?;
    Ok(lock)
}

/// Builds the functions; cargo shows how far it is. Release binaries are built as they ship. In development all of the
/// workspace is, so that functions, tests and this program agree on every dependency's features and compile it once.
async fn build(config: &Config, template: &Template) -> anyhow::Result<()> {
    let mut cargo = Command::new("cargo");
    forget_cargo(&mut cargo).arg("build").arg("--target-dir").arg(&config.target).current_dir(project());
    if config.release {
        cargo.arg("--release");
        for function in &template.functions {
            cargo.arg("--package").arg(&function.name);
        }
    } else {
        cargo.args(["--workspace", "--bins"]);
    }
    if !cargo.kill_on_drop(true).status().await.context("cargo")?.success() {
        bail!("the functions don't build");
    }
    Ok(())
}

fn programs(
    config: &Config,
    template: &Template,
    settings: &Settings,
    console: &Arc<Console>,
) -> Vec<Program> {
    let program = |function: &crate::template::Function| Program {
        name: function.name.clone(),
        binary: config.binaries().join(&function.name),
        timeout: function.timeout,
        variables: settings.of_function(function),
        freeze: config.freeze,
        console: console.clone(),
    };
    template.functions.iter().map(program).collect()
}

fn url(config: &Config, listener: &TcpListener) -> anyhow::Result<String> {
    Ok(format!("http://{}:{}", config.reachable_host(), listener.local_addr()?.port()))
}

fn listener(listener: TcpListener) -> std::io::Result<tokio::net::TcpListener> {
    listener.set_nonblocking(true)?;
    tokio::net::TcpListener::from_std(listener)
}

fn in_background(server: impl Future<Output = std::io::Result<()>> + Send + 'static) {
    tokio::spawn(async {
        if let Err(error) = server.await {
            eprintln!("error: {error}");
        }
    });
}
