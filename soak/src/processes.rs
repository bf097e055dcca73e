//! The local cloud's processes, read from /proc.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

/// A process.
pub struct Process {
    pub id: i32,
    pub name: String,
    /// Its resident memory, in KiB.
    pub resident: u64,
    /// Whether it is stopped, as the local cloud stops idle functions.
    pub is_frozen: bool,
    parent: i32,
    is_dead: bool,
}

/// Returns all visible processes.
fn all() -> Vec<Process> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| process(&entry.path())).collect()
}

fn process(folder: &Path) -> Option<Process> {
    let id = folder.file_name()?.to_str()?.parse().ok()?;
    let stat = fs::read_to_string(folder.join("stat")).ok()?;
    let mut fields = stat.rsplit_once(") ")?.1.split(' ');
    let state = fields.next()?;
    let parent = fields.next()?.parse().ok()?;
    let program = fs::read_link(folder.join("exe")).unwrap_or_default();
    let name = program.file_name().unwrap_or_default().to_string_lossy().replace(" (deleted)", "");
    let status = fs::read_to_string(folder.join("status")).unwrap_or_default();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let resident = resident.and_then(|text| text.trim().split(' ').next()?.parse().ok()).unwrap_or_default();
    Some(Process { id, name, resident, is_frozen: state == "T", parent, is_dead: state == "Z" })
}

/// Returns the living children of a process.
pub fn children(parent: i32) -> Vec<Process> {
    all().into_iter().filter(|process| process.parent == parent && !process.is_dead).collect()
}

/// Returns the functions' processes in the cloud that this program runs in. That cloud is the parent process.
pub fn functions() -> Vec<Process> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("functions");
    let mut processes = children(nix::unistd::getppid().as_raw());
    processes.retain(|process| !process.name.is_empty() && folder.join(&process.name).is_dir());
    processes
}

/// Resident memory over time: for each program, that of its largest process.
#[derive(Default)]
pub struct Memory(BTreeMap<String, Vec<u64>>);

/// The memory by which a program may grow, in KiB, in addition to a fifth. Allocators keep some memory.
const TOLERANCE: u64 = 8 * 1024;

impl Memory {
    pub async fn watch(&mut self) {
        loop {
            tokio::time::sleep(Duration::from_secs(2)).await;
            let cloud = nix::unistd::getppid().as_raw();
            let cloud = all().into_iter().filter(|process| process.id == cloud);
            let mut now = BTreeMap::new();
            for process in functions().into_iter().chain(cloud) {
                let largest = now.entry(process.name).or_insert(0);
                *largest = process.resident.max(*largest);
            }
            for (name, resident) in now {
                self.0.entry(name).or_default().push(resident);
            }
        }
    }

    /// Returns the medians of the second and of the last quarter of the run for each program, in KiB.
    pub fn medians(&self) -> impl Iterator<Item = (&str, u64, u64)> {
        self.0.iter().filter(|(_, values)| values.len() >= 8).map(|(name, values)| {
            let quarter = values.len() / 4;
            let median = |values: &[u64]| {
                let mut values = values.to_vec();
                values.sort_unstable();
                values.get(values.len() / 2).copied().unwrap_or_default()
            };
            let early = median(values.get(quarter..2 * quarter).unwrap_or_default());
            let late = median(values.get(values.len() - quarter..).unwrap_or_default());
            (name.as_str(), early, late)
        })
    }

    /// Lists the programs that have grown.
    pub fn grown(&self) -> Vec<String> {
        let grown = self.medians().filter(|(_, early, late)| *late > early + early / 5 + TOLERANCE);
        grown.map(|(name, early, late)| format!("{name} grew from {early} to {late} KiB")).collect()
    }
}
