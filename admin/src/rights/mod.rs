//! What a tenant owes its users, and may ask for: exports and erasures.

pub mod erase;
pub mod export;
pub mod walk;
