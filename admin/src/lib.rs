//! Code shared by the command line and the local cloud: updates of the database's schema, secrets and user tokens.

mod schema;
pub mod secret;
pub mod user_token;

pub use schema::{install, migrate, missing};
