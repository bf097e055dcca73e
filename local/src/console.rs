//! What a person sees: a line for each request, and errors; everything else goes to files.

use parking_lot::Mutex;
use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::PathBuf;

/// The terminal and the folder of logs.
pub(crate) struct Console {
    folder: PathBuf,
    files: Mutex<HashMap<String, File>>,
    /// Keeps the terminal for the command that runs in the local cloud.
    quiet: bool,
}

impl Console {
    pub(crate) fn new(folder: PathBuf, quiet: bool) -> Self {
        Self { folder, files: Mutex::default(), quiet }
    }

    /// Tells of a request.
    pub(crate) fn request(&self, line: &str) {
        self.log("requests", line);
        if !self.quiet {
            let _nobody_looks = writeln!(std::io::stdout(), "{line}");
        }
    }

    /// Tells of something that went wrong.
    pub(crate) fn problem(&self, line: &str) {
        self.log("problems", line);
        if !self.quiet {
            let _nobody_looks = writeln!(std::io::stderr(), "{line}");
        }
    }

    /// Takes a line that a function printed.
    pub(crate) fn function_says(&self, function: &str, line: &str) {
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
