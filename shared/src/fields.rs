//! Parsed input. A handler only holds values that have been checked. A value that can't be parsed is a 400 that names
//! the field.

use crate::{Error, Result};
use postgres_types::{Json, ToSql};
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Deref;

/// An id, a name, an email address or an external reference.
pub type ShortText = Text<255>;

/// A message's text.
pub type MessageBody = Text<10_000>;

/// The fields of a JSON body or a query string. They are taken out one by one, and all others are ignored.
pub struct Fields<'a> {
    values: Map<String, Value>,
    /// The JSON body that the values come from, for objects that must be kept as they were written.
    json: &'a [u8],
}

/// A type that a field can be parsed into.
pub trait Field: Sized {
    /// Parses a value that is present and not null. The error's text is for the caller.
    fn parse(name: &str, value: Value) -> Result<Self>;
}

impl<'a> Fields<'a> {
    /// Parses a JSON object.
    pub fn from_json(json: &'a [u8]) -> Result<Self> {
        let values = serde_json::from_slice(json).map_err(|_| Error::invalid("invalid json"))?;
        Ok(Self { values, json })
    }

    /// Takes a field that must be present and not empty.
    pub fn required<T: Field>(&mut self, name: &'static str) -> Result<T> {
        match self.take(name) {
            Some(value) if value != "" && value != Value::Array(Vec::new()) => T::parse(name, value),
            _ => Err(Error::invalid(format!("{name} is required"))),
        }
    }

    /// Takes a field that may be missing or null.
    pub fn optional<T: Field>(&mut self, name: &'static str) -> Result<Option<T>> {
        self.take(name).map(|value| T::parse(name, value)).transpose()
    }

    /// Takes a field that may be missing, null or an empty string, which all mean the same.
    pub fn optional_text<T: Field>(&mut self, name: &'static str) -> Result<Option<T>> {
        self.take(name).filter(|value| value != "").map(|value| T::parse(name, value)).transpose()
    }

    /// Takes a JSON object that may be missing or null. Its numbers are kept as they were written.
    pub fn optional_object<const MAX: usize>(&mut self, name: &'static str) -> Result<Option<Object<MAX>>> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Object(_)) => {
                let written: BTreeMap<Cow<str>, &RawValue> = parse(self.json)?;
                written.get(name).map(|json| Object::parse(name, json)).transpose()
            }
            Some(_) => Err(Error::invalid(format!("{name} must be an object"))),
        }
    }

    fn take(&mut self, name: &str) -> Option<Value> {
        self.values.remove(name).filter(|value| !value.is_null())
    }
}

/// Parses JSON that has been parsed before, as another type.
fn parse<'a, T: serde::Deserialize<'a>>(json: &'a [u8]) -> Result<T> {
    serde_json::from_slice(json).map_err(|_| Error::invalid("invalid json"))
}

/// A query string's parameters. If one is repeated, its first value counts.
impl<S: Into<String>> FromIterator<(S, S)> for Fields<'_> {
    fn from_iter<I: IntoIterator<Item = (S, S)>>(query: I) -> Self {
        let mut fields = Map::new();
        for (name, value) in query {
            fields.entry(name).or_insert_with(|| Value::String(value.into()));
        }
        Self { values: fields, json: &[] }
    }
}

/// A string of at most `MAX` characters that isn't empty and has no NUL, which Postgres can't store.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, ToSql)]
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSql)]
#[postgres(transparent)]
pub struct TextList<const COUNT: usize, const MAX: usize>(Vec<Text<MAX>>);

impl<const COUNT: usize, const MAX: usize> TextList<COUNT, MAX> {
    /// Returns the list without repetitions. Each string keeps its first position.
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

/// A JSON object of at most `MAX` bytes, counted without white space and with numbers written out as Postgres does:
/// `1e3` counts as `1000`. It is kept as text, because a number may have more digits than any Rust type holds.
#[derive(Debug, Serialize, ToSql)]
#[postgres(transparent)]
pub struct Object<const MAX: usize>(Json<Box<RawValue>>);

impl<const MAX: usize> Object<MAX> {
    fn parse(name: &str, json: &RawValue) -> Result<Self> {
        let too_long = || Error::invalid(format!("{name} is too long"));
        // Each level of nesting is parsed again, so the input's length is limited, too. A longer one is mostly white
        // space.
        if json.get().len() > 16 * MAX {
            return Err(too_long());
        }
        let mut text = Compact::default();
        text.push(json)?;
        if text.holds_nul {
            Err(Error::invalid(format!("{name} must not contain NUL")))
        } else if text.json.len().saturating_add(text.zeros) > MAX {
            Err(too_long())
        } else {
            let json = RawValue::from_string(text.json).map_err(|_| Error::invalid("invalid json"))?;
            Ok(Self(Json(json)))
        }
    }
}

/// JSON that is written without white space, with every number as it came.
#[derive(Default)]
struct Compact {
    json: String,
    /// The number of zeros that the numbers' exponents stand for.
    zeros: usize,
    holds_nul: bool,
}

impl Compact {
    fn push(&mut self, value: &RawValue) -> Result<()> {
        let text = value.get();
        match text.as_bytes().first() {
            Some(b'{') => {
                let fields: BTreeMap<Cow<str>, &RawValue> = parse(text.as_bytes())?;
                let mut separator = '{';
                for (name, value) in fields {
                    self.json.push(separator);
                    self.push_text(&name);
                    self.json.push(':');
                    self.push(value)?;
                    separator = ',';
                }
                self.json.push_str(if separator == '{' { "{}" } else { "}" });
            }
            Some(b'[') => {
                let values: Vec<&RawValue> = parse(text.as_bytes())?;
                let mut separator = '[';
                for value in values {
                    self.json.push(separator);
                    self.push(value)?;
                    separator = ',';
                }
                self.json.push_str(if separator == '[' { "[]" } else { "]" });
            }
            Some(b'"') => self.push_text(&parse::<Cow<str>>(text.as_bytes())?),
            _ => {
                self.json.push_str(text);
                self.zeros = self.zeros.saturating_add(zeros(text));
            }
        }
        Ok(())
    }

    fn push_text(&mut self, text: &str) {
        self.holds_nul |= text.contains('\0');
        self.json.push_str(&Value::from(text).to_string());
    }
}

/// Returns the maximum number of zeros that a number's exponent stands for, and 0 for a literal without an exponent.
fn zeros(literal: &str) -> usize {
    match literal.split_once(['e', 'E']) {
        Some((digits, exponent)) if digits.ends_with(|last: char| last.is_ascii_digit()) => {
            exponent.trim_start_matches(['+', '-']).parse().unwrap_or(usize::MAX)
        }
        _ => 0,
    }
}

/// An absolute http or https URL of at most 2,048 characters, kept as it was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSql)]
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn body(value: &Value) -> Fields<'static> {
        Fields::from_json(value.to_string().leak().as_bytes()).unwrap()
    }

    /// The text that is stored for the object at `f` of a JSON body.
    fn object<const MAX: usize>(json: &str) -> Result<String, String> {
        let object = Fields::from_json(json.as_bytes()).and_then(|mut body| body.optional_object::<MAX>("f"));
        object.map(|object| object.unwrap().0.0.get().to_owned()).map_err(|error| error.to_string())
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
            assert_eq!(message(body(&absent).required::<ShortText>("f")), "f is required");
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
            assert_eq!(body(&absent).optional_text::<ShortText>("f").unwrap(), None);
        }
        assert_eq!(message(body(&json!({ "f": {} })).optional_text::<ShortText>("f")), "f must be a string");
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
        let parse = |value: Value| object::<20>(&json!({ "f": value }).to_string()).unwrap_err();
        assert_eq!(parse(json!([1])), "f must be an object");
        assert_eq!(parse(json!("{}")), "f must be an object");
        assert_eq!(parse(json!({ "a": [{ "b": "\0" }] })), "f must not contain NUL");
        assert_eq!(parse(json!({ "\0": 1 })), "f must not contain NUL");
        assert_eq!(parse(json!({ "a": "x".repeat(20) })), "f is too long");
        for absent in [json!({}), json!({ "f": null })] {
            assert!(body(&absent).optional_object::<20>("f").unwrap().is_none());
        }
    }

    #[test]
    fn an_object_is_measured_without_white_space_and_with_its_numbers_written_out() {
        let too_long = Err("f is too long".to_owned());
        let spacious = "{\"f\": { \"a\" : \"\\u00e9\" ,\n\"b\":{}, \"b\":[] } }";
        assert_eq!(object::<17>(spacious), Ok("{\"a\":\"é\",\"b\":[]}".to_owned()));
        assert_eq!(object::<16>(spacious), too_long);
        assert_eq!(object::<10>("{\"f\":{\"a\":true}}"), Ok("{\"a\":true}".to_owned()));
        assert_eq!(object::<312>("{\"f\":{\"a\":1E+300}}"), Ok("{\"a\":1E+300}".to_owned()));
        assert_eq!(object::<311>("{\"f\":{\"a\":1E+300}}"), too_long);
        for number in ["1e300", "-1.5E-300", "1e-99999999999999999999999", "0.0e300"] {
            assert_eq!(object::<300>(&format!("{{\"f\":{{\"a\":{number}}}}}")), too_long);
        }
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
        assert_eq!(&*query.required::<ShortText>("a").unwrap(), "1");
    }

    /// Any JSON without NUL.
    fn json_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "[^\0]{0,20}".prop_map(Value::from),
        ];
        leaf.prop_recursive(5, 60, 5, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                proptest::collection::btree_map("[^\0]{0,9}", inner, 0..5)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn every_string_in_bounds_is_kept_as_it_is(text in "[^\0]{1,255}") {
            prop_assert_eq!(&*body(&json!({ "f": text })).required::<ShortText>("f").unwrap(), text.as_str());
        }

        #[test]
        fn every_number_is_kept_as_it_was_written(number in "-?(0|[1-9][0-9]{0,60})([.][0-9]{1,60})?([eE][+-]?[0-9]{1,2})?") {
            let json = format!("{{\"a\":[{number},{{\"b\":{number}}}]}}");
            prop_assert_eq!(object::<1024>(&format!("{{ \"f\" : {json} }}")), Ok(json));
        }

        #[test]
        fn an_object_is_kept_as_it_is(value in json_value()) {
            let text = object::<1_000_000>(&format!("{{\"f\":{{\"a\":{value:#}}}}}")).unwrap();
            prop_assert_eq!(text, json!({ "a": value }).to_string());
        }

        #[test]
        fn no_bytes_make_the_parser_panic(bytes: Vec<u8>) {
            if let Ok(mut fields) = Fields::from_json(&bytes) {
                let _ = fields.optional_object::<20>("f");
                let _ = fields.optional::<MediaUrl>("f");
            }
        }
    }
}
