//! pgbench, the yardstick: a lean C client that runs the same statements in the same protocol steps.

use crate::stats::{Sample, median, micros};
use anyhow::{Context, bail};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// The parameters that never change, as in events/*.json.
const VARIABLES: [(&str, &str); 6] = [
    ("key", "pk_test_DemoTenantOnlyForLocalUse01"),
    ("conversation", crate::routes::CONVERSATION),
    ("user", "u_42"),
    ("name", "Ada Lovelace"),
    ("email", "ada@example.com"),
    ("body", "Hi, where is my order?"),
];

/// The program, and where it works.
pub(crate) struct Pgbench {
    program: PathBuf,
    folder: PathBuf,
    /// What a run costs before its first transaction, in microseconds of CPU time.
    start_up: f64,
}

impl Pgbench {
    /// Finds it beside the server's programs, and measures its start-up on the database at `url`.
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
            runs.push(pgbench.run(url, "select 1", 0, 1, 0)?.cpu);
        }
        pgbench.start_up = median(runs);
        Ok(pgbench)
    }

    /// Runs `statement` from one client, `warm_up` times and then `count` times more, with `:n` counting up from
    /// `first`. Latencies are those of the `count`.
    pub(crate) fn run(
        &self,
        url: &str,
        statement: &str,
        first: u64,
        count: u32,
        warm_up: u32,
    ) -> anyhow::Result<Sample> {
        let script = self.folder.join("pgbench.sql");
        let log = self.folder.join("pgbench");
        fs::write(&script, format!("{statement};\n\\set n :n + 1\n"))?;
        let all = warm_up + count;
        let mut command = Command::new(&self.program);
        command.args(["-n", "-M", "extended", "-c", "1", "-t", &all.to_string()]);
        command.arg("-f").arg(&script);
        command.arg("-l").arg("--log-prefix").arg(&log);
        for (name, value) in VARIABLES {
            command.arg("-D").arg(format!("{name}={value}"));
        }
        command.arg("-D").arg(format!("n={first}")).arg(url);
        let before = children_cpu()?;
        let output = command.output().context("pgbench is missing; it comes with the Postgres server")?;
        let cpu = micros(children_cpu()?.saturating_sub(before));
        if !output.status.success() {
            bail!("pgbench: {}", String::from_utf8_lossy(&output.stderr));
        }
        let latencies = self.read_log()?;
        let warm = latencies.get(usize::try_from(warm_up)?..).unwrap_or_default();
        Ok(Sample::of(warm, (cpu - self.start_up) / f64::from(all)))
    }

    /// Reads and removes the log, whose third column is each transaction's time in microseconds.
    fn read_log(&self) -> anyhow::Result<Vec<f64>> {
        let mut latencies = Vec::new();
        for file in fs::read_dir(&self.folder)? {
            let path = file?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if !name.starts_with("pgbench.") || name == "pgbench.sql" {
                continue;
            }
            for line in fs::read_to_string(&path)?.lines() {
                let time = line.split(' ').nth(2).context("pgbench's log has another form")?;
                latencies.push(time.parse()?);
            }
            fs::remove_file(path)?;
        }
        Ok(latencies)
    }
}

/// CPU time of the child processes that have ended.
fn children_cpu() -> anyhow::Result<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let time = |value: TimeVal| {
        let seconds = u64::try_from(value.tv_sec())?;
        let micros = u64::try_from(value.tv_usec())?;
        anyhow::Ok(Duration::from_secs(seconds) + Duration::from_micros(micros))
    };
    Ok(time(usage.user_time())? + time(usage.system_time())?)
}
