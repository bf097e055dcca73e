//! The crate behind every function: what more than one route needs, and nothing else.
//!
//! A function's `main` builds what it needs from the environment ([`db::Route`], [`realtime::Realtime`]) and hands its
//! handler to [`http::serve`]. The handler parses ([`http`], [`fields`]), calls its one [`route_function`] ([`db`]) and
//! returns a type from [`model`], or an [`Error`].
//!
//! Who may use what: [`access_token`] get-config; [`realtime`] the functions that broadcast, [`webhook`] those
//! that change messages and deliver-webhooks, [`image`] and [`tls`] upload-image, [`storage`] remove-expired and the command line;
//! everything else is for all. The S3 SDK is linked by upload-image and by those that use `storage`, which is a feature.

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
#[cfg(feature = "storage")]
pub mod storage;
pub mod telemetry;
pub mod tls;
pub mod webhook;

pub use error::{Error, Result};
