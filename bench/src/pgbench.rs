//! pgbench, a small client in C. It runs each route's plain statement, from bench/statements, as the reference that the
//! functions are compared with.

use crate::stats::{Sample, median, micros};
use anyhow::{Context, bail};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// The parameters that are the same in all requests, as in events/*.json.
const VARIABLES: [(&str, &str); 6] = [
    ("key", "pk_test_DemoTenantOnlyForLocalUse01"),
    ("conversation", crate::routes::CONVERSATION),
    ("user", "u_42"),
    ("name", "Ada Lovelace"),
    ("email", "ada@example.com"),
    ("body", "Hi, where is my order?"),
];

/// The protocol in which statements go to Postgres.
#[derive(Clone, Copy)]
pub(crate) enum Protocol {
    /// Named statements: Postgres parses and plans each once per connection.
    Prepared,
    /// Unnamed statements: Postgres parses and plans each on every execution.
    Extended,
}

impl Protocol {
    fn name(self) -> &'static str {
        match self {
            Self::Prepared => "prepared",
            Self::Extended => "extended",
        }
    }
}

/// The program and its working folder.
pub(crate) struct Pgbench {
    program: PathBuf,
    folder: PathBuf,
    /// The CPU time of a run before its first transaction, in microseconds.
    start_up: f64,
}

impl Pgbench {
    /// Finds the program next to the server's, and measures its start-up on the database at `url`.
    pub(crate) fn find(folder: &Path, url: &str) -> anyhow::Result<Self> {
        let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
        let program = versions
            .filter_map(|version| Some(version.ok()?.path().join("bin/pgbench")))
            .filter(|program| program.exists())
            .max()
            .unwrap_or_else(|| "pgbench".into());
        let mut pgbench = Self { program, folder: folder.to_owned(), start_up: 0.0 };
        let mut runs = Vec::new();
        for _ in 0..5 {
            let (cpu, _) = pgbench.execute(url, Protocol::Extended, "select 1;", &["-t", "1"], &[])?;
            runs.push(cpu);
        }
        pgbench.start_up = median(runs);
        Ok(pgbench)
    }

    /// Runs `statement` from one client, first `warm_up` and then `count` times. `:n` counts up from `first`. The
    /// latencies are those of the last `count` executions. The backend records its CPU time before and after them.
    pub(crate) fn run(
        &self,
        url: &str,
        protocol: Protocol,
        statement: &str,
        first: u64,
        count: u32,
        warm_up: u32,
    ) -> anyhow::Result<Sample> {
        let script = format!(
            "\\if :n = :last\nselect public.mark();\n\\else\n{statement};\n\\set n :n + 1\n\
            \\if :n = :warm\nselect public.mark();\n\\endif\n\\endif\n"
        );
        let all = warm_up + count;
        let transactions = (all + 1).to_string(); // the last one is a mark
        let log = self.folder.join("pgbench").display().to_string();
        let counters = [("n", first), ("warm", first + u64::from(warm_up)), ("last", first + u64::from(all))];
        let options = ["-t", &transactions, "-l", "--log-prefix", &log];
        let (cpu, _) = self.execute(url, protocol, &script, &options, &counters)?;
        let latencies = self.read_log()?;
        let measured = usize::try_from(warm_up)?..usize::try_from(all)?;
        let warm = latencies.get(measured).context("pgbench's log is too short")?;
        Ok(Sample::of(warm, (cpu - self.start_up) / f64::from(all), f64::NAN))
    }

    /// Returns how many times a second `clients` concurrent clients execute `script` in total.
    pub(crate) fn rate(
        &self,
        url: &str,
        script: &str,
        clients: u32,
        time: Duration,
        first: u64,
    ) -> anyhow::Result<f64> {
        let (clients, time) = (clients.to_string(), time.as_secs().to_string());
        let options = ["-c", &clients, "-j", &clients, "-T", &time];
        let (_, output) =
            self.execute(url, Protocol::Prepared, script, &options, &[("first", first), ("sent", 0)])?;
        let rate = output.lines().find_map(|line| line.strip_prefix("tps = ")?.split(' ').next());
        Ok(rate.context("pgbench printed no tps")?.parse()?)
    }

    /// Runs pgbench. Returns its CPU time and its output.
    fn execute(
        &self,
        url: &str,
        protocol: Protocol,
        script: &str,
        options: &[&str],
        counters: &[(&str, u64)],
    ) -> anyhow::Result<(f64, String)> {
        let file = self.folder.join("pgbench.sql");
        fs::write(&file, script)?;
        let mut command = Command::new(&self.program);
        command.args(["-n", "-M", protocol.name(), "-f"]).arg(&file).args(options);
        for (name, value) in VARIABLES {
            command.arg("-D").arg(format!("{name}={value}"));
        }
        for (name, value) in counters {
            command.arg("-D").arg(format!("{name}={value}"));
        }
        let before = children_cpu()?;
        let output = command
            .arg(url)
            .output()
            .context("pgbench is missing: it is part of the Postgres server's package")?;
        let cpu = micros(children_cpu()?.saturating_sub(before));
        let errors = String::from_utf8_lossy(&output.stderr);
        if !output.status.success() || errors.contains("ERROR") {
            bail!("pgbench: {errors}");
        }
        Ok((cpu, String::from_utf8(output.stdout)?))
    }

    /// Reads and removes the log. Its third column is each transaction's time in microseconds.
    fn read_log(&self) -> anyhow::Result<Vec<f64>> {
        let mut latencies = Vec::new();
        for file in fs::read_dir(&self.folder)? {
            let path = file?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if !name.starts_with("pgbench.") || name == "pgbench.sql" {
                continue;
            }
            for line in fs::read_to_string(&path)?.lines() {
                let time = line.split(' ').nth(2).context("pgbench's log has an unknown format")?;
                latencies.push(time.parse()?);
            }
            fs::remove_file(path)?;
        }
        Ok(latencies)
    }
}

/// Returns the CPU time of all child processes that have ended.
fn children_cpu() -> anyhow::Result<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let time = |value: TimeVal| {
        let seconds = u64::try_from(value.tv_sec())?;
        let micros = u64::try_from(value.tv_usec())?;
        anyhow::Ok(Duration::from_secs(seconds) + Duration::from_micros(micros))
    };
    Ok(time(usage.user_time())? + time(usage.system_time())?)
}
