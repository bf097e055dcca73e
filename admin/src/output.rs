//! The output of commands: tables for people, JSON for programs.

use serde::Serialize;
use std::borrow::Cow;
use std::cmp::Reverse;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use tabled::Tabled;
use tabled::builder::Builder;
use tabled::grid::util::string::get_text_width;
use tabled::settings::object::Columns;
use tabled::settings::{Color, Style, Width};

/// The maximum width of a table, in columns of a terminal.
const WIDTH: usize = 120;

/// The minimum width of a column of text. If a table doesn't fit even then, each row becomes a block.
const NARROWEST: usize = 12;

/// A failure that is the result of the command's input or of a check, and not an error of the program.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The command names something that doesn't exist.
    #[error("no such {0}")]
    NoSuch(&'static str),
    /// An argument is wrong.
    #[error("{0}")]
    WrongUsage(String),
    /// The doctor has reported a fault.
    #[error("a check failed")]
    Unhealthy,
}

impl Failure {
    /// The program's exit code.
    pub fn code(&self) -> ExitCode {
        match self {
            Self::NoSuch(_) => ExitCode::from(3),
            Self::WrongUsage(_) => ExitCode::from(2),
            Self::Unhealthy => ExitCode::FAILURE,
        }
    }
}

/// The output of results, to standard output.
#[derive(Clone)]
pub struct Output {
    /// Whether to print JSON.
    pub json: bool,
    /// Whether states have colours: on a terminal that isn't dumb, unless `NO_COLOR` is set.
    colour: bool,
}

impl Output {
    pub fn new(json: bool) -> Self {
        let unwanted = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|terminal| terminal == "dumb");
        Self { json, colour: io::stdout().is_terminal() && !unwanted("NO_COLOR") && !dumb }
    }

    /// Prints a list as a table with a row for each item, or as a block of lines for each if the table is too wide.
    pub fn list<T: Serialize + Tabled>(&self, items: &[T]) -> anyhow::Result<()> {
        self.print(&items, || {
            let names = texts(&T::headers());
            let rows: Vec<_> = items.iter().map(|item| texts(&item.fields())).collect();
            self.table(&names, &rows).unwrap_or_else(|| {
                let blocks: Vec<_> = rows.iter().map(|row| self.block(&names, row)).collect();
                blocks.join("\n\n")
            })
        })
    }

    /// Prints one item: a table with a row for each of its fields.
    pub fn item<T: Serialize + Tabled>(&self, item: &T) -> anyhow::Result<()> {
        self.print(item, || self.block(&texts(&T::headers()), &texts(&item.fields())))
    }

    /// Prints a sentence about the result, or the result as JSON.
    pub fn done(&self, words: &str, result: &impl Serialize) -> anyhow::Result<()> {
        self.print(result, || words.to_owned())
    }

    /// Prints a line of a list that is printed line by line, with a mark for `yes`, `no` or other. Prints nothing in JSON
    /// mode.
    pub fn line(&self, well: &str, text: &str) {
        let (mark, colour) = match well {
            "yes" => ("✓", Color::FG_GREEN),
            "no" => ("✗", Color::FG_RED),
            _ => ("–", Color::FG_YELLOW),
        };
        let mark = if self.colour { colour.colorize(mark) } else { mark.to_owned() };
        if !self.json {
            let _closed = writeln!(io::stdout(), "{mark} {}", harmless(text));
        }
    }

    /// Prints a line of JSON. Prints nothing in table mode.
    pub fn json_line(&self, value: &impl Serialize) {
        if let (true, Ok(text)) = (self.json, serde_json::to_string(value)) {
            let _closed = writeln!(io::stdout(), "{text}");
        }
    }

    fn print(&self, value: &impl Serialize, text: impl FnOnce() -> String) -> anyhow::Result<()> {
        write(&if self.json { json(value)? } else { text() })
    }

    /// Returns a table no wider than [`WIDTH`], if its columns of text can be made narrow enough. Ids, times and
    /// addresses are never wrapped.
    fn table(&self, names: &[String], rows: &[Vec<String>]) -> Option<String> {
        let mut builder = Builder::default();
        builder.push_record(names);
        for row in rows {
            builder.push_record(row);
        }
        let mut table = builder.build();
        table.with(Style::psql());
        for (column, name) in names.iter().enumerate() {
            for (row, value) in
                rows.iter().enumerate().filter_map(|(row, values)| Some((row, values.get(column)?)))
            {
                if let Some(colour) = self.colour_of(name, value) {
                    table.modify((row + 1, column), colour);
                }
            }
        }
        let width = |column: &usize| {
            rows.iter()
                .filter_map(|row| row.get(*column))
                .map(|text| get_text_width(text))
                .max()
                .unwrap_or_default()
        };
        let of_words =
            |column: &usize| rows.iter().filter_map(|row| row.get(*column)).any(|text| has_words(text));
        let mut of_words: Vec<_> = (0..names.len()).filter(of_words).collect();
        of_words.sort_by_key(|column| Reverse(width(column)));
        for column in of_words {
            let excess = table.total_width().saturating_sub(WIDTH);
            if excess > 0 {
                let narrower = width(&column).saturating_sub(excess).max(NARROWEST);
                table.modify(Columns::one(column), Width::wrap(narrower).keep_words(true));
            }
        }
        (table.total_width() <= WIDTH).then(|| table.to_string())
    }

    /// Returns a block with a line for each field.
    fn block(&self, names: &[String], row: &[String]) -> String {
        let mut builder = Builder::default();
        for (name, value) in names.iter().zip(row) {
            builder.push_record([name, value]);
        }
        let mut table = builder.build();
        table.with(Style::psql().remove_horizontals());
        let name = names.iter().map(|name| get_text_width(name)).max().unwrap_or_default();
        let room = WIDTH.saturating_sub(name + " ".len() + " | ".len()).max(NARROWEST);
        for (line, (name, value)) in names.iter().zip(row).enumerate() {
            if let Some(colour) = self.colour_of(name, value) {
                table.modify((line, 1), colour);
            }
            if has_words(value) {
                table.modify((line, 1), Width::wrap(room).keep_words(true));
            }
        }
        table.to_string().lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
    }

    /// Returns the colour of a field's value.
    fn colour_of(&self, name: &str, value: &str) -> Option<Color> {
        if !self.colour || !["state", "status"].contains(&name) {
            return None;
        }
        match value.split(':').next()? {
            "active" | "delivered" => Some(Color::FG_GREEN),
            "ends" | "on hold" | "overage" | "waiting" => Some(Color::FG_YELLOW),
            "dead" | "disabled" | "revoked" | "suspended" => Some(Color::FG_RED),
            _ => None,
        }
    }
}

fn has_words(text: &str) -> bool {
    text.contains(char::is_whitespace)
}

fn texts(fields: &[Cow<str>]) -> Vec<String> {
    fields.iter().map(|text| harmless(text)).collect()
}

/// Returns a text of other people for the terminal: escapes characters that move the cursor or change the direction of
/// text.
pub fn harmless(text: &str) -> String {
    escaped(text, |letter| letter.escape_default().to_string())
}

/// Returns JSON in which the same characters are escaped.
fn json(value: &impl Serialize) -> serde_json::Result<String> {
    let text = serde_json::to_string_pretty(value)?;
    Ok(text.lines().map(harmless_json).collect::<Vec<_>>().join("\n"))
}

/// Returns a line of JSON in which the same characters are escaped as in JSON.
pub fn harmless_json(line: &str) -> Cow<'_, str> {
    if !line.contains(is_harmful) {
        return line.into();
    }
    escaped(line, |letter| format!("\\u{:04x}", u32::from(letter))).into()
}

fn is_harmful(letter: char) -> bool {
    letter.is_control() || matches!(letter, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn escaped(text: &str, spell: impl Fn(char) -> String) -> String {
    text.chars().map(|letter| if is_harmful(letter) { spell(letter) } else { letter.to_string() }).collect()
}

fn write(text: &str) -> anyhow::Result<()> {
    match writeln!(io::stdout(), "{text}") {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()), // `tinychat … | head`
        written => Ok(written?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Output = Output { json: false, colour: false };

    fn row(fields: &[&str]) -> Vec<String> {
        fields.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn only_characters_that_move_the_cursor_or_change_the_direction_are_escaped() {
        assert_eq!(harmless("\u{1b}[2J\r\nok"), r"\u{1b}[2J\r\nok");
        assert_eq!(harmless("\u{9b}31m\u{202e}gnp"), r"\u{9b}31m\u{202e}gnp");
        for text in ["O'Brien \\ \"Söhne\"", "مرحبا", "हिन्दी", "👩\u{200d}🚀"] {
            assert_eq!(harmless(text), text);
        }
        assert_eq!(json(&["\u{9b}31m\u{1b}"]).unwrap(), "[\n  \"\\u009b31m\\u001b\"\n]");
    }

    #[test]
    fn a_wide_table_wraps_text_but_no_ids() {
        let id = "0".repeat(36);
        let names = row(&["id", "name", "status"]);
        let table = PLAIN.table(&names, &[row(&[&id, &"long name ".repeat(20), "active"])]).unwrap();
        assert!(table.lines().all(|line| line.len() <= WIDTH) && table.contains(&id), "{table}");
        let table = PLAIN.table(&names, &[row(&[&id, &"0".repeat(100), "active"])]);
        assert_eq!(table, None);
    }

    #[test]
    fn states_have_colours_on_a_terminal() {
        let coloured = Output { json: false, colour: true };
        let (names, values) = (row(&["name", "state"]), row(&["active", "disabled: by an operator"]));
        for text in
            [coloured.table(&names, std::slice::from_ref(&values)).unwrap(), coloured.block(&names, &values)]
        {
            assert!(text.contains("\u{1b}[31mdisabled: by an operator\u{1b}[39m"), "{text:?}");
            assert_eq!(text.matches("\u{1b}[3").count(), 2, "a name isn't a state: {text:?}");
        }
        assert!(!PLAIN.block(&names, &values).contains('\u{1b}'));
    }
}
