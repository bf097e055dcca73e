//! Generates a module for each route that parses input: a copy of the function's source with a public entry point at its end.
//! New functions are included automatically.

use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let out = PathBuf::from(env::var("OUT_DIR").map_err(io::Error::other)?);
    let functions = Path::new("../functions");
    println!("cargo::rerun-if-changed={}", functions.display());
    let (mut modules, mut entry_points) = (String::new(), Vec::new());
    let mut folders: Vec<_> =
        fs::read_dir(functions)?.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?;
    folders.sort();
    for folder in folders {
        let sources = folder.join("src");
        let input =
            ["input.rs", "main.rs"].map(|file| sources.join(file)).into_iter().find(|path| path.exists());
        let code = fs::read_to_string(input.ok_or_else(|| io::Error::other(folder.display().to_string()))?)?;
        let parsed = if code.contains("async fn parse(request: &Request)") {
            "futures_util::FutureExt::now_or_never(Input::parse(request)).expect(\"the body is complete\")"
        } else if code.contains("fn parse(request: &Request, credential: &Credential)") {
            "Input::parse(request, &request.credential().expect(\"a key\"))"
        } else if code.contains("fn parse(request: &Request)") {
            "Input::parse(request)"
        } else {
            continue; // the route has no input
        };
        let name = folder.file_name().unwrap_or_default().to_string_lossy().replace('-', "_");
        for file in fs::read_dir(&sources)? {
            let file = file?.path();
            let module = file.extension().is_some_and(|extension| extension == "rs");
            if module && !file.ends_with("main.rs")
                || file.extension().is_some_and(|extension| extension == "sql")
            {
                fs::copy(&file, out.join(file.file_name().unwrap_or_default()))?;
            }
        }
        let entry_point =
            format!("pub fn parse_input(request: &shared::http::Request) {{ let _ = {parsed}; }}\n");
        fs::write(out.join(&name).with_extension("rs"), format!("{code}\n{entry_point}"))?;
        modules += &format!("#[allow(dead_code)]\n#[path = \"{name}.rs\"]\nmod {name};\n");
        entry_points.push(format!("{name}::parse_input"));
    }
    let table = format!("const ROUTES: &[fn(&shared::http::Request)] = &[{}];\n", entry_points.join(", "));
    fs::write(out.join("routes.rs"), modules + &table)
}
