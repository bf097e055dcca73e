//! Choices: enums whose variants are texts, in requests, in responses and in the database.

use crate::error::Cause;
use crate::fields::Field;
use crate::{Error, Result};
use bytes::BytesMut;
use postgres_types::{FromSql, IsNull, ToSql, Type, to_sql_checked};
use serde::{Deserialize, Serialize};
use serde_json::Value;

macro_rules! choice {
    ($(#[$doc:meta])* $name:ident { $($variant:ident = $text:literal),+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
        pub enum $name {
            $(#[doc = $text] #[serde(rename = $text)] $variant,)+
        }

        impl $name {
            /// Every variant.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The variant's text.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                }
            }

            /// Parses a field that accepts only some of the variants.
            pub fn parse_one_of(variants: &[Self], name: &str, value: &Value) -> Result<Self> {
                let text = value.as_str().ok_or_else(|| Error::invalid(format!("{name} must be a string")))?;
                find(variants, Self::as_str, text).ok_or_else(|| {
                    let texts: Vec<_> = variants.iter().map(|variant| variant.as_str()).collect();
                    Error::invalid(format!("{name} must be one of {}", texts.join(", ")))
                })
            }
        }

        impl Field for $name {
            fn parse(name: &str, value: Value) -> Result<Self> {
                Self::parse_one_of(Self::ALL, name, &value)
            }
        }

        impl ToSql for $name {
            fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Cause> {
                self.as_str().to_sql(ty, out)
            }

            fn accepts(ty: &Type) -> bool {
                <&str as ToSql>::accepts(ty)
            }

            to_sql_checked!();
        }

        impl<'a> FromSql<'a> for $name {
            fn from_sql(ty: &Type, raw: &'a [u8]) -> Result<Self, Cause> {
                let text = <&str>::from_sql(ty, raw)?;
                find(Self::ALL, Self::as_str, text)
                    .ok_or_else(|| format!("{text:?} is no {}", stringify!($name)).into())
            }

            fn accepts(ty: &Type) -> bool {
                <&str as FromSql>::accepts(ty)
            }
        }
    };
}

fn find<T: Copy>(variants: &[T], as_str: fn(T) -> &'static str, text: &str) -> Option<T> {
    variants.iter().copied().find(|variant| as_str(*variant) == text)
}

choice!(
    /// A user's role at the tenant.
    Role { Customer = "customer", Driver = "driver", Admin = "admin", Support = "support" }
);
choice!(
    /// A conversation's kind, which says which inbox it is in.
    Kind { Order = "order", Support = "support", Direct = "direct" }
);
choice!(
    /// A conversation's status.
    Status { Open = "open", Closed = "closed" }
);
choice!(
    /// A message's type. Only the tenant's backend sends the type `system`.
    MessageType { Text = "text", Image = "image", System = "system" }
);
choice!(
    /// Whether a tenant's apps may use user tokens, or must.
    UserTokens { Off = "off", Accepted = "accepted", Required = "required" }
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_names_the_texts_that_it_accepts() {
        let parse = |value: &str| MessageType::parse("f", value.into()).map_err(|error| error.to_string());
        assert_eq!(parse("image"), Ok(MessageType::Image));
        assert_eq!(parse("Image"), Err("f must be one of text, image, system".to_owned()));
        let some = MessageType::parse_one_of(&[MessageType::Text], "f", &"image".into());
        assert_eq!(some.unwrap_err().to_string(), "f must be one of text");
        let number = MessageType::parse("f", 7.into());
        assert_eq!(number.unwrap_err().to_string(), "f must be a string");
    }

    #[test]
    fn a_column_holds_one_of_the_texts() {
        let mut column = BytesMut::new();
        Role::Driver.to_sql(&Type::TEXT, &mut column).unwrap();
        assert_eq!(column, "driver");
        assert_eq!(Role::from_sql(&Type::TEXT, &column).unwrap(), Role::Driver);
        assert_eq!(Role::from_sql(&Type::TEXT, b"pilot").unwrap_err().to_string(), "\"pilot\" is no Role");
    }

    #[test]
    fn json_shows_the_same_text() {
        for kind in Kind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        }
    }
}
