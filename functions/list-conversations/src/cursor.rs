//! The end of a page of conversations. It is opaque to clients, which only send it back.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::{Serialize, Serializer};
use serde_json::Value;
use shared::fields::Field;
use shared::model::{ConversationId, Timestamp};
use shared::row::Row;
use shared::{Error, Result};

/// The latest activity of the last conversation that a page has or passes over, and its id.
#[derive(Debug, PartialEq, Eq)]
pub struct Cursor {
    /// The activity, in whole milliseconds as all of them are.
    pub active_at: Timestamp,
    /// The conversation's id.
    pub id: ConversationId,
}

impl Cursor {
    /// Parses the form that [`std::fmt::Display`] writes, and no other.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).ok()?;
        let (active_at, id) = std::str::from_utf8(&bytes).ok()?.split_at_checked(24)?;
        let cursor = Self { active_at: Timestamp::parse(active_at)?, id: ConversationId::parse(id) };
        (cursor.to_string() == text).then_some(cursor)
    }
}

impl TryFrom<&Row> for Cursor {
    type Error = Error;

    fn try_from(row: &Row) -> Result<Self> {
        Ok(Self { active_at: row.try_get("active_at")?, id: row.try_get("id")? })
    }
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&BASE64_URL_SAFE_NO_PAD.encode(format!("{}{}", self.active_at, self.id)))
    }
}

impl Serialize for Cursor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Field for Cursor {
    fn parse(name: &str, value: Value) -> Result<Self> {
        value.as_str().and_then(Self::parse).ok_or_else(|| Error::invalid(format!("{name} is invalid")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIME: &str = "2026-01-15T10:21:09.114Z";
    const ID: &str = "c0ffee00-0000-4000-8000-000000000001";

    #[test]
    fn a_cursor_that_was_shown_is_read_again() {
        let cursor = Cursor { active_at: Timestamp::parse(TIME).unwrap(), id: ConversationId::parse(ID) };
        assert_eq!(Cursor::parse(&cursor.to_string()), Some(cursor));
    }

    #[test]
    fn anything_else_is_no_cursor() {
        let encode = |text: &str| BASE64_URL_SAFE_NO_PAD.encode(text);
        for text in [
            "",
            "===",
            TIME,
            &encode(""),
            &encode(TIME),
            &encode(&format!("{TIME}{}", ID.to_uppercase())),
            &encode(&format!("{TIME}{ID}x")),
            &encode(&format!("{TIME}{}", &ID[1..])),
            &encode(&format!("2026-01-15T10:21:09.1145{ID}")),
            &encode(&format!("{}💬{ID}", &TIME[..22])),
            &format!("{}=", encode(&format!("{TIME}{ID}"))),
        ] {
            assert_eq!(Cursor::parse(text), None, "{text}");
        }
    }
}
