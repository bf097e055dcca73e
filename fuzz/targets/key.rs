//! The API key. What is taken for one has its form, and no two have one hash.
#![no_main]

use libfuzzer_sys::fuzz_target;
use shared::auth::KeyHash;

fuzz_target!(|key: &str| {
    if let Ok(hash) = KeyHash::of(key) {
        assert!(key.len() >= 32 && key.starts_with("pk_") && key.is_ascii());
        assert_ne!(KeyHash::of(&format!("{key}0")).ok(), Some(hash));
    }
});
