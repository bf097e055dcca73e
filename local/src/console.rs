//! Output for people: a line per request, and errors, on the terminal. Everything goes to log files.

use parking_lot::Mutex;
use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::PathBuf;

/// The terminal and the log files.
pub(crate) struct Console {
    folder: PathBuf,
    files: Mutex<HashMap<String, File>>,
    /// Whether nothing is printed, because the terminal belongs to the command that the local cloud runs.
    quiet: bool,
}

impl Console {
    pub(crate) fn new(folder: PathBuf, quiet: bool) -> Self {
        Self { folder, files: Mutex::default(), quiet }
    }

    /// Logs and prints a request.
    pub(crate) fn request(&self, line: &str) {
        self.log("requests", line);
        if !self.quiet {
            let _closed = writeln!(std::io::stdout(), "{line}");
        }
    }

    /// Logs and prints an error.
    pub(crate) fn problem(&self, line: &str) {
        self.log("problems", line);
        if !self.quiet {
            let _closed = writeln!(std::io::stderr(), "{line}");
        }
    }

    /// Logs a line that a function has printed. Prints it, too, if it is an error.
    pub(crate) fn function_output(&self, function: &str, line: &str) {
        self.log(function, line);
        if ["\"ERROR\"", " ERROR ", "panicked at"].iter().any(|mark| line.contains(mark)) {
            self.problem(&format!("{function}: {line}"));
        }
    }

    fn log(&self, name: &str, line: &str) {
        let mut files = self.files.lock();
        if !files.contains_key(name) {
            let path = self.folder.join(name).with_extension("log");
            match OpenOptions::new().create(true).append(true).open(&path) {
                Ok(file) => {
                    files.insert(name.to_owned(), file);
                }
                Err(error) => eprintln!("{}: {error}", path.display()),
            }
        }
        if let Some(file) = files.get_mut(name) {
            let _disk_full = writeln!(file, "{line}");
        }
    }
}
