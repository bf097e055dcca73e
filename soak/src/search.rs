//! A search of the whole database and of Storage for the texts that users planted who were erased. All begin with the same
//! prefix, which no other run has.

use crate::database::connect;
use crate::history::Found;
use std::env;
use std::path::{Path, PathBuf};

/// All tables, and for each an expression with the text of all of its columns. Bytes are shown as text, too.
const TABLES: &str = "
    select format('%I.%I', n.nspname, c.relname), string_agg(
        format(case a.atttypid when 'bytea'::regtype then 'encode(%I, ''escape'')' else '%I::text' end, a.attname), ', '
    )
    from pg_class c
    join pg_namespace n on n.oid = c.relnamespace
    join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    where c.relkind in ('r', 'm') and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast')
    group by 1";

/// Returns the planted texts in the database, each with its table.
pub async fn database(prefix: &str) -> anyhow::Result<Vec<Found>> {
    let client = connect().await?;
    let mut all = Vec::new();
    for table in client.query(TABLES, &[]).await? {
        let (place, columns): (String, String) = (table.get(0), table.get(1));
        let query = format!(
            "select distinct found[1] from {place},
            regexp_matches(concat_ws(' ', {columns}), '({prefix}[0-9]+(?:/[0-9]+)?)', 'g') found"
        );
        let found = client.query(&query, &[]).await?;
        all.extend(found.iter().map(|row| Found { text: row.get(0), place: place.clone() }));
    }
    Ok(all)
}

/// Returns the planted texts in Storage's files and their paths, each with its file.
pub fn storage(prefix: &str) -> anyhow::Result<Vec<Found>> {
    let mut all = Vec::new();
    for file in files(&storage_folder()?)? {
        let place = file.to_string_lossy().into_owned();
        let bytes = std::fs::read(&file)?;
        let texts: Vec<_> = texts(prefix, &format!("{place} {}", String::from_utf8_lossy(&bytes))).collect();
        all.extend(texts.into_iter().map(|text| Found { text, place: place.clone() }));
    }
    Ok(all)
}

/// Returns Storage's folder.
pub fn storage_folder() -> anyhow::Result<PathBuf> {
    Ok(Path::new(&env::var("DATA_DIR")?).join("storage"))
}

/// Returns all files in a folder, which may be missing, and in its subfolders.
pub fn files(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let (mut files, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten() {
            let path = entry?.path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    Ok(files)
}

/// Returns the planted texts in a text.
fn texts(prefix: &str, text: &str) -> impl Iterator<Item = String> {
    text.split(prefix).skip(1).filter_map(move |rest| {
        let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
        let (user, rest) = rest.split_at(digits(rest));
        let number = rest.strip_prefix('/').map(|rest| rest.split_at(digits(rest)).0).unwrap_or_default();
        match (user, number) {
            ("", _) => None,
            (user, "") => Some(format!("{prefix}{user}")),
            (user, number) => Some(format!("{prefix}{user}/{number}")),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn planted_texts_are_found_wherever_they_are() {
        let text = "planted- planted-7/12 edited 1\"planted-7\u{fffd}planted-8/x/planted-9/3/4";
        assert_eq!(
            texts("planted-", text).collect::<Vec<_>>(),
            ["planted-7/12", "planted-7", "planted-8", "planted-9/3"]
        );
    }
}
