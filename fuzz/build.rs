//! Makes what each route does with its input reachable: a copy of the function's source, with a door at its end. A new
//! function is found by itself.

use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let out = PathBuf::from(env::var("OUT_DIR").map_err(io::Error::other)?);
    let functions = Path::new("../functions");
    println!("cargo::rerun-if-changed={}", functions.display());
    let (mut modules, mut doors) = (String::new(), Vec::new());
    let mut folders: Vec<_> =
        fs::read_dir(functions)?.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?;
    folders.sort();
    for folder in folders {
        let sources = folder.join("src");
        let input =
            ["input.rs", "main.rs"].map(|file| sources.join(file)).into_iter().find(|path| path.exists());
        let code = fs::read_to_string(input.ok_or_else(|| io::Error::other(folder.display().to_string()))?)?;
        let parsed = if code.contains("async fn parse(request: &Request)") {
            "futures_util::FutureExt::now_or_never(Input::parse(request)).expect(\"a body that is there\")"
        } else if code.contains("fn parse(request: &Request, credential: &Credential)") {
            "Input::parse(request, &request.credential().expect(\"a key\"))"
        } else if code.contains("fn parse(request: &Request)") {
            "Input::parse(request)"
        } else {
            continue; // takes no input
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
        let door = format!("pub fn door(request: &shared::http::Request) {{ let _ = {parsed}; }}\n");
        fs::write(out.join(&name).with_extension("rs"), format!("{code}\n{door}"))?;
        modules += &format!("#[allow(dead_code)]\n#[path = \"{name}.rs\"]\nmod {name};\n");
        doors.push(format!("{name}::door"));
    }
    let table = format!("const ROUTES: &[fn(&shared::http::Request)] = &[{}];\n", doors.join(", "));
    fs::write(out.join("routes.rs"), modules + &table)
}
