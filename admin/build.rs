//! Collects the .sql files that may define a route function. Cargo runs it again when one of them or a migration is added
//! or changed.

use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=../supabase/migrations"); // `include_dir` alone tells cargo of no new file
    println!("cargo::rerun-if-changed=../Cargo.lock"); // a new function is a new package
    // Read at run time, because a copied target folder may contain this program from another checkout.
    let admin = env::var("CARGO_MANIFEST_DIR").map_err(io::Error::other)?;
    let project = Path::new(&admin).join("..").canonicalize()?;
    let mut files = vec![project.join("shared/src/admit.sql"), project.join("shared/src/webhook/record.sql")];
    for function in fs::read_dir(project.join("functions"))? {
        let function = function?;
        let folder = function.path().join("src");
        let file = folder.join(function.file_name()).with_extension("sql");
        if file.exists() {
            files.push(file);
        } else {
            println!("cargo::rerun-if-changed={}", folder.display());
        }
    }
    files.sort();
    let mut list = String::from("[");
    for file in files {
        println!("cargo::rerun-if-changed={}", file.display());
        let _never_fails = write!(list, "include_str!({:?}), ", file.to_string_lossy());
    }
    fs::write(Path::new(&env::var("OUT_DIR").map_err(io::Error::other)?).join("files.rs"), list + "]")
}
