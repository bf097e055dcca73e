//! The code that more than one function needs, and nothing else.
//!
//! A function's `main` builds what it needs from the environment ([`db::Route`], [`realtime::Realtime`]) and passes its
//! handler to [`http::serve`]. The handler parses ([`http`], [`fields`]), calls its one [`route_function`] ([`db`]) and
//! returns a type from [`model`], or an [`Error`].
//!
//! Some modules are for some functions only: [`access_token`] for get-config, [`realtime`] for functions that
//! broadcast, [`webhook`] for functions that record events and for deliver-webhooks, [`image`] and [`tls`] for
//! upload-image, [`storage`] for remove-expired and the command line. All others are for every function. The S3 SDK is
//! linked by upload-image and by the users of `storage`, which is a feature.

pub mod access_token;
pub mod after_response;
pub mod auth;
mod breaker;
pub mod config;
mod credential_usage;
pub mod db;
pub mod error;
pub mod fields;
pub mod http;
pub mod image;
pub mod model;
pub mod realtime;
pub mod route_function;
pub mod row;
#[cfg(feature = "storage")]
pub mod storage;
pub mod telemetry;
pub mod tls;
pub mod webhook;

pub use error::{Error, Result};
