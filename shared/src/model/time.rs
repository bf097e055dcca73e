//! Times.

use crate::fields::Field;
use crate::{Error, Result};
use chrono::{DateTime, SecondsFormat, Utc};
use postgres_types::{FromSql, ToSql};
use serde::{Serialize, Serializer};
use serde_json::Value;
use std::time::SystemTime;

/// A time in UTC, shown in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ToSql, FromSql)]
#[postgres(transparent)]
pub struct Timestamp(DateTime<Utc>);

impl Timestamp {
    /// Parses an ISO-8601 time. A time without an offset is UTC. A space in the place of an offset's `+` is a `+` that
    /// wasn't percent-encoded.
    pub fn parse(text: &str) -> Option<Self> {
        let with_offset = |text: &str| DateTime::parse_from_rfc3339(text).map(|time| time.to_utc());
        with_offset(text)
            .or_else(|_| with_offset(&text.replace(' ', "+")))
            .or_else(|_| with_offset(&format!("{text}Z")))
            .ok()
            .map(Self)
    }
}

impl Timestamp {
    /// Returns the whole milliseconds since 1970.
    pub fn milliseconds(self) -> i64 {
        self.0.timestamp_millis()
    }

    /// Returns the time in whole milliseconds, as all times are stored.
    #[must_use]
    pub fn truncated(self) -> Self {
        Self::from_milliseconds(self.milliseconds()).unwrap_or(self)
    }

    /// Returns the time this many milliseconds after 1970, or `None` if it is out of range.
    pub fn from_milliseconds(milliseconds: i64) -> Option<Self> {
        DateTime::from_timestamp_millis(milliseconds).map(Self)
    }
}

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        Self(time.into())
    }
}

impl Field for Timestamp {
    fn parse(name: &str, value: Value) -> Result<Self> {
        let time = value.as_str().and_then(Self::parse);
        time.ok_or_else(|| Error::invalid(format!("{name} must be an ISO-8601 time")))
    }
}

impl std::fmt::Display for Timestamp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0.to_rfc3339_opts(SecondsFormat::Millis, true))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0.to_rfc3339_opts(SecondsFormat::Millis, true))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(text: &str) -> Option<Value> {
        Timestamp::parse(text).map(|time| serde_json::to_value(time).unwrap())
    }

    #[test]
    fn a_cursor_is_an_iso_8601_time() {
        for text in [
            "2026-01-15T10:21:09.114Z",
            "2026-01-15T11:21:09.114+01:00",
            "2026-01-15T11:21:09.114 01:00",
            "2026-01-15T10:21:09.114",
            "2026-01-15T10:21:09.114999Z",
        ] {
            assert_eq!(shown(text), Some("2026-01-15T10:21:09.114Z".into()), "{text}");
        }
        for text in [
            "",
            "yesterday",
            "1768472469114",
            "2026-13-01T00:00:00Z",
            "2026-01-15",
            "2026-01-15T10:21:09X",
            "2026-1-15T10:21:9",
            "-4800-01-01T00:00:00",   // before Postgres' first day
            "+300000-01-01T00:00:00", // after its last
        ] {
            assert_eq!(shown(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_time_that_was_shown_pages_exactly(millis in 0_i64..4_102_444_800_000) {
            let time = Timestamp(DateTime::from_timestamp_millis(millis).unwrap());
            let text = serde_json::to_value(time).unwrap();
            prop_assert_eq!(Timestamp::parse(text.as_str().unwrap()), Some(time));
        }

        #[test]
        fn no_text_makes_the_parser_panic(text: String) {
            Timestamp::parse(&text);
        }
    }
}
