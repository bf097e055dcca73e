//! The rights of a tenant and its users to their data: exports and erasures.

pub mod erase;
pub mod export;
pub mod walk;
