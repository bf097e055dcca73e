//! The credential in the header, a key or a token. Every accepted text must have one of the two forms.
#![no_main]

use libfuzzer_sys::fuzz_target;
use shared::auth::{Credential, CredentialKind};

fuzz_target!(|text: &str| {
    if let Ok(credential) = Credential::parse(text) {
        assert!(text.is_ascii() && text.len() >= 32);
        match credential.kind() {
            CredentialKind::Publishable => assert!(text.starts_with("pk_")),
            CredentialKind::Secret => assert!(text.starts_with("sk_")),
            CredentialKind::Token => assert!(text.len() <= 4096 && text.matches('.').count() == 2),
        }
    }
});
