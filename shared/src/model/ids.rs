//! Ids. All are UUIDs, each kind with a type of its own.

use crate::fields::Field;
use crate::{Error, Result};
use postgres_types::{FromSql, ToSql};
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident $(= $new:path)?) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, ToSql, FromSql)]
        #[postgres(transparent)]
        pub struct $name(Uuid);

        impl $name {
            $(
                #[doc = concat!("Returns a new id from `", stringify!($new), "`.")]
                #[expect(clippy::new_without_default, reason = "each call returns another id")]
                pub fn new() -> Self {
                    Self($new())
                }
            )?

            /// Parses an id from a request. A text that isn't a UUID becomes the nil UUID. No row has that id, so the
            /// request fails like one with any other id that doesn't exist.
            pub fn parse(text: &str) -> Self {
                Self(Uuid::try_parse(text).ok().filter(|_| text.len() == 36).unwrap_or_default())
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

id!(
    /// A tenant's id.
    TenantId
);
id!(
    /// The id of a user's row. The tenant knows the user by `user_id`.
    UserId = Uuid::now_v7
);
id!(
    /// A conversation's id. It is random, because it names a channel and so must not be guessable.
    ConversationId = Uuid::new_v4
);
id!(
    /// A message's id. It begins with the time at which it was made, so that messages of the same time are stored
    /// together.
    MessageId = Uuid::now_v7
);
id!(
    /// The id of one request to delete a message, which distinguishes it from all others.
    DeletionId = Uuid::new_v4
);
id!(
    /// A webhook event's id, sent as `webhook-id`. It begins with the time at which it was made.
    EventId = Uuid::now_v7
);

impl Field for MessageId {
    fn parse(name: &str, value: Value) -> Result<Self> {
        match value {
            Value::String(text) => Ok(Self::parse(&text)),
            _ => Err(Error::invalid(format!("{name} must be a string"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_id_that_is_no_uuid_names_nothing() {
        let nil = MessageId(Uuid::nil());
        for text in ["", "m_1", "{01990000-0000-7000-8000-000000000001}", "01990000000070008000000000000001"]
        {
            assert_eq!(MessageId::parse(text), nil, "{text}");
        }
        assert_ne!(MessageId::parse("01990000-0000-7000-8000-000000000001"), nil);
    }

    proptest! {
        #[test]
        fn an_id_that_was_shown_is_found_again(bits: u128) {
            let id = MessageId(Uuid::from_u128(bits));
            prop_assert_eq!(MessageId::parse(&id.to_string()), id);
        }

        #[test]
        fn no_text_makes_the_parser_panic(text: String) {
            ConversationId::parse(&text);
        }
    }
}
