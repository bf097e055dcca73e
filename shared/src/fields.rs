//! Input, parsed: what a handler holds has been checked, and what couldn't be is a 400 that names the field.

use crate::{Error, Result};
use postgres_types::ToSql;
use serde_json::{Map, Value};
use std::ops::Deref;

/// An id, a name, an email address or an external reference.
pub type Name = Text<255>;

/// A message's text.
pub type MessageBody = Text<10_000>;

/// The fields of a JSON body or a query string, taken out one by one; what is left over is ignored.
pub struct Fields(Map<String, Value>);

/// A type that a field can be parsed into.
pub trait Field: Sized {
    /// Parses a value that is there and not null. The error is the text for the caller.
    fn parse(name: &str, value: Value) -> Result<Self>;
}

impl Fields {
    /// Parses a JSON object.
    pub fn from_json(body: &[u8]) -> Result<Self> {
        serde_json::from_slice(body).map(Self).map_err(|_| Error::invalid("invalid json"))
    }

    /// A field that must be there and must not be empty.
    pub fn required<T: Field>(&mut self, name: &'static str) -> Result<T> {
        match self.take(name) {
            Some(value) if value != "" && value != Value::Array(Vec::new()) => T::parse(name, value),
            _ => Err(Error::invalid(format!("{name} is required"))),
        }
    }

    /// A field that may be missing or null.
    pub fn optional<T: Field>(&mut self, name: &'static str) -> Result<Option<T>> {
        self.take(name).map(|value| T::parse(name, value)).transpose()
    }

    /// A field that may be missing, null or an empty string, which all mean the same.
    pub fn optional_text<T: Field>(&mut self, name: &'static str) -> Result<Option<T>> {
        self.take(name).filter(|value| value != "").map(|value| T::parse(name, value)).transpose()
    }

    fn take(&mut self, name: &str) -> Option<Value> {
        self.0.remove(name).filter(|value| !value.is_null())
    }
}

/// A query string's parameters; of one that is repeated, the first counts.
impl<S: Into<String>> FromIterator<(S, S)> for Fields {
    fn from_iter<I: IntoIterator<Item = (S, S)>>(query: I) -> Self {
        let mut fields = Map::new();
        for (name, value) in query {
            fields.entry(name).or_insert_with(|| Value::String(value.into()));
        }
        Self(fields)
    }
}

/// A string that isn't empty, holds at most `MAX` characters, and no NUL, which Postgres can't store.
#[derive(Debug, Clone, PartialEq, Eq, ToSql)]
#[postgres(transparent)]
pub struct Text<const MAX: usize>(String);

impl<const MAX: usize> Deref for Text<MAX> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl<const MAX: usize> Field for Text<MAX> {
    fn parse(name: &str, value: Value) -> Result<Self> {
        match value {
            Value::String(text) if text.is_empty() => {
                Err(Error::invalid(format!("{name} must not contain empty strings")))
            }
            Value::String(text) if text.contains('\0') => {
                Err(Error::invalid(format!("{name} must not contain NUL")))
            }
            Value::String(text) if text.chars().nth(MAX).is_some() => {
                Err(Error::invalid(format!("{name} is too long")))
            }
            Value::String(text) => Ok(Self(text)),
            _ => Err(Error::invalid(format!("{name} must be a string"))),
        }
    }
}

/// At most `COUNT` strings of at most `MAX` characters each.
#[derive(Debug, Clone, PartialEq, Eq, ToSql)]
#[postgres(transparent)]
pub struct TextList<const COUNT: usize, const MAX: usize>(Vec<Text<MAX>>);

impl<const COUNT: usize, const MAX: usize> TextList<COUNT, MAX> {
    /// The list without repetitions, each string at its first place.
    #[must_use]
    pub fn deduplicated(self) -> Self {
        let mut seen = std::collections::HashSet::new();
        let mut texts = self.0;
        texts.retain(|text| seen.insert(text.0.clone()));
        Self(texts)
    }
}

impl<const COUNT: usize, const MAX: usize> Field for TextList<COUNT, MAX> {
    fn parse(name: &str, value: Value) -> Result<Self> {
        match value {
            Value::Array(values) if !values.iter().all(Value::is_string) => {
                Err(Error::invalid(format!("{name} must be an array of strings")))
            }
            Value::Array(values) if values.len() > COUNT => Err(Error::invalid(format!("too many {name}"))),
            Value::Array(values) => {
                values.into_iter().map(|value| Text::parse(name, value)).collect::<Result<_>>().map(Self)
            }
            _ => Err(Error::invalid(format!("{name} must be an array of strings"))),
        }
    }
}

/// A JSON object of at most `MAX` bytes, kept as it is.
#[derive(Debug, ToSql)]
#[postgres(transparent)]
pub struct Object<const MAX: usize>(Value);

impl<const MAX: usize> Field for Object<MAX> {
    fn parse(name: &str, value: Value) -> Result<Self> {
        let json = value.to_string();
        if !value.is_object() {
            Err(Error::invalid(format!("{name} must be an object")))
        } else if holds_nul(&value) {
            Err(Error::invalid(format!("{name} must not contain NUL")))
        } else if json.len() > MAX {
            Err(Error::invalid(format!("{name} is too long")))
        } else {
            Ok(Self(value))
        }
    }
}

fn holds_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(values) => values.iter().any(holds_nul),
        Value::Object(fields) => fields.iter().any(|(name, value)| name.contains('\0') || holds_nul(value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// An absolute http or https URL of at most 2,048 characters, kept as it was written.
#[derive(Debug, Clone, PartialEq, Eq, ToSql)]
#[postgres(transparent)]
pub struct MediaUrl(Text<2_048>);

impl Field for MediaUrl {
    fn parse(name: &str, value: Value) -> Result<Self> {
        let text = Text::parse(name, value)?;
        let url =
            reqwest::Url::parse(&text).ok().filter(|_| !text.contains(|c: char| c.is_control() || c == ' '));
        match url {
            Some(url) if ["http", "https"].contains(&url.scheme()) && text.contains("://") => Ok(Self(text)),
            _ => Err(Error::invalid(format!("{name} must be an absolute http(s) URL"))),
        }
    }
}

/// Defines an enum of the strings that a field may be.
macro_rules! choice {
    ($(#[$doc:meta])* $name:ident { $first:ident = $first_text:literal $(, $variant:ident = $text:literal)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name {
            #[doc = $first_text]
            $first,
            $(#[doc = $text] $variant,)*
        }

        impl $name {
            /// Every variant.
            pub const ALL: &[Self] = &[Self::$first $(, Self::$variant)*];

            /// The variant as it is written.
            pub fn as_str(self) -> &'static str {
                match self {
                    Self::$first => $first_text,
                    $(Self::$variant => $text,)*
                }
            }
        }

        impl Field for $name {
            fn parse(name: &str, value: Value) -> Result<Self> {
                let Value::String(text) = value else {
                    return Err(Error::invalid(format!("{name} must be a string")));
                };
                let found = Self::ALL.iter().copied().find(|choice| choice.as_str() == text);
                found.ok_or_else(|| {
                    Error::invalid(format!(concat!("{} must be one of ", $first_text $(, ", ", $text)*), name))
                })
            }
        }
    };
}

choice!(
    /// What a user is to the tenant.
    Role { Customer = "customer", Driver = "driver", Admin = "admin", Support = "support" }
);
choice!(
    /// Which inbox a conversation lives in.
    Kind { Order = "order", Support = "support", Direct = "direct" }
);
choice!(
    /// What a message carries.
    MessageType { Text = "text", Image = "image" }
);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn body(value: &Value) -> Fields {
        Fields::from_json(value.to_string().as_bytes()).unwrap()
    }

    fn message<T>(result: Result<T>) -> String {
        result.err().unwrap().to_string()
    }

    #[test]
    fn what_is_no_json_object_is_invalid_json() {
        let nested = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        for text in ["", "nope", "[]", "\"a\"", "null", "{\"a\":1", "{\"a\":\"\\ud800\"}", nested.as_str()] {
            assert_eq!(message(Fields::from_json(text.as_bytes())), "invalid json");
        }
        assert_eq!(message(Fields::from_json(b"{\"a\":\"\xff\"}")), "invalid json");
    }

    #[test]
    fn a_required_field_must_be_there_and_hold_something() {
        for absent in [json!({}), json!({ "f": null }), json!({ "f": "" }), json!({ "f": [] })] {
            assert_eq!(message(body(&absent).required::<Name>("f")), "f is required");
            assert_eq!(message(body(&absent).required::<Kind>("f")), "f is required");
            assert_eq!(message(body(&absent).required::<TextList<9, 9>>("f")), "f is required");
        }
    }

    #[test]
    fn a_text_is_a_string_without_nul_and_not_too_long() {
        let parse = |value| message(body(&json!({ "f": value })).required::<Text<3>>("f"));
        assert_eq!(parse(json!(7)), "f must be a string");
        assert_eq!(parse(json!("a\0")), "f must not contain NUL");
        assert_eq!(parse(json!("abcd")), "f is too long");
    }

    #[test]
    fn an_optional_text_may_be_missing_null_or_empty() {
        for absent in [json!({}), json!({ "f": null }), json!({ "f": "" })] {
            assert_eq!(body(&absent).optional_text::<Name>("f").unwrap(), None);
        }
        assert_eq!(message(body(&json!({ "f": {} })).optional_text::<Name>("f")), "f must be a string");
    }

    #[test]
    fn a_choice_names_what_may_be_chosen() {
        let parse = |text| body(&json!({ "f": text })).optional::<MessageType>("f");
        assert_eq!(parse("image").unwrap(), Some(MessageType::Image));
        assert_eq!(message(parse("video")), "f must be one of text, image");
        assert_eq!(message(parse("")), "f must be one of text, image");
    }

    #[test]
    fn a_list_is_bounded_in_every_way() {
        let parse = |value| message(body(&json!({ "f": value })).required::<TextList<2, 3>>("f"));
        assert_eq!(parse(json!("a")), "f must be an array of strings");
        assert_eq!(parse(json!(["a", null])), "f must be an array of strings");
        assert_eq!(parse(json!(["a", "b", "c"])), "too many f");
        assert_eq!(parse(json!(["abcd"])), "f is too long");
        assert_eq!(parse(json!([""])), "f must not contain empty strings");
    }

    #[test]
    fn a_list_is_deduplicated_in_order() {
        let list: TextList<9, 9> = body(&json!({ "f": ["b", "a", "b", "c", "a"] })).required("f").unwrap();
        let TextList(texts) = list.deduplicated();
        assert_eq!(texts.iter().map(|text| &**text).collect::<Vec<_>>(), ["b", "a", "c"]);
    }

    #[test]
    fn an_object_holds_no_nul_at_any_depth() {
        let parse = |value| message(body(&json!({ "f": value })).required::<Object<20>>("f"));
        assert_eq!(parse(json!([1])), "f must be an object");
        assert_eq!(parse(json!({ "a": [{ "b": "\0" }] })), "f must not contain NUL");
        assert_eq!(parse(json!({ "\0": 1 })), "f must not contain NUL");
        assert_eq!(parse(json!({ "a": "x".repeat(20) })), "f is too long");
    }

    #[test]
    fn a_media_url_is_absolute_and_http() {
        let parse = |text: &str| body(&json!({ "f": text })).required::<MediaUrl>("f");
        for good in ["https://x.co/a.png", "http://127.0.0.1:54321/a?b=c#d", "HTTPS://X.CO/ä"] {
            assert!(parse(good).is_ok(), "{good}");
        }
        for bad in [
            "x.co/a.png",
            "/a.png",
            "javascript:alert(1)",
            "data:,x",
            "http:x",
            "https://",
            " https://x.co",
            "https://x\n.co",
            "ftp://x.co/://",
        ] {
            assert_eq!(message(parse(bad)), "f must be an absolute http(s) URL", "{bad}");
        }
    }

    #[test]
    fn of_a_repeated_parameter_the_first_counts() {
        let mut query = Fields::from_iter([("a", "1"), ("a", "2")]);
        assert_eq!(&*query.required::<Name>("a").unwrap(), "1");
    }

    proptest! {
        #[test]
        fn every_string_in_bounds_is_kept_as_it_is(text in "[^\0]{1,255}") {
            prop_assert_eq!(&*body(&json!({ "f": text })).required::<Name>("f").unwrap(), text.as_str());
        }

        #[test]
        fn no_bytes_make_the_parser_panic(bytes: Vec<u8>) {
            if let Ok(mut fields) = Fields::from_json(&bytes) {
                let _ = fields.optional::<MediaUrl>("f");
            }
        }
    }
}
