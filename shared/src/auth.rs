//! The API key: its form, and the hash that it is known by. Whose key it is comes back from the route's statement.

use crate::{Error, Result};
use postgres_types::ToSql;
use sha2::{Digest, Sha256};

/// The SHA-256 of a well-formed API key: all that is stored of a key, and all that a statement needs of it.
#[derive(Clone, PartialEq, Eq, Debug, ToSql)]
#[postgres(transparent)]
pub struct KeyHash(Vec<u8>);

impl KeyHash {
    /// Checks a key's form, `pk_live_` or `pk_test_` and at least 24 letters or digits, and hashes it.
    pub fn of(key: &str) -> Result<Self> {
        let secret =
            key.strip_prefix("pk_live_").or_else(|| key.strip_prefix("pk_test_")).ok_or(Error::InvalidKey)?;
        if secret.len() < 24 || !secret.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(Error::InvalidKey);
        }
        Ok(Self(Sha256::digest(key).to_vec()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_key_is_known_by_its_sha256() {
        let KeyHash(hash) = KeyHash::of("pk_test_DemoTenantOnlyForLocalUse01").unwrap();
        assert_eq!(hash.len(), 32);
        assert_eq!(&hash[..4], [0x31, 0xc4, 0xe8, 0x7d]);
    }

    #[test]
    fn other_forms_are_no_keys() {
        for key in [
            "",
            "pk_live_",
            "pk_live_short",
            "sk_live_abcdefghijklmnopqrstuvwx",
            "pk_live_abcdefghijklmnopqrstuvw",
        ] {
            assert!(KeyHash::of(key).is_err(), "{key}");
        }
        assert!(KeyHash::of("pk_live_abcdefghijklmnopqrstuvwx").is_ok());
        assert!(KeyHash::of("PK_LIVE_abcdefghijklmnopqrstuvwx").is_err());
    }

    proptest! {
        #[test]
        fn every_key_of_the_form_is_taken(key in "pk_(live|test)_[A-Za-z0-9]{24,64}") {
            prop_assert!(KeyHash::of(&key).is_ok());
        }

        #[test]
        fn one_foreign_character_spoils_a_key(
            start in "pk_(live|test)_[A-Za-z0-9]{0,30}", foreign in "[^A-Za-z0-9]", end in "[A-Za-z0-9]{24,30}"
        ) {
            let key = format!("{start}{foreign}{end}");
            prop_assert!(KeyHash::of(&key).is_err());
        }
    }
}
