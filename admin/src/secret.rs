//! Random secrets: of user tokens, webhooks and database roles.

use base64::prelude::{BASE64_STANDARD, Engine};
use uuid::Uuid;

/// Returns 244 random bits as 64 hexadecimal digits.
pub fn new_secret() -> String {
    random().map(|id| id.simple().to_string()).concat()
}

/// Returns a signing secret for webhooks with 244 random bits: `whsec_` and base64.
pub fn new_webhook_secret() -> String {
    format!("whsec_{}", BASE64_STANDARD.encode(random().map(Uuid::into_bytes).concat()))
}

/// Two random UUIDs. Each has 122 random bits.
fn random() -> [Uuid; 2] {
    [Uuid::new_v4(), Uuid::new_v4()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::user_token::BLOCK;
    use shared::webhook::Secret;

    #[test]
    fn a_new_secret_is_as_long_as_a_block_and_differs_each_time() {
        assert_eq!(new_secret().len(), BLOCK);
        assert_ne!(new_secret(), new_secret());
    }

    #[test]
    fn a_new_webhook_secret_can_be_used_and_differs_each_time() {
        assert!(new_webhook_secret().parse::<Secret>().is_ok());
        assert_ne!(new_webhook_secret(), new_webhook_secret());
    }
}
