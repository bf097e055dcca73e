//! Webhooks: sends an event to an endpoint, signed after the Standard Webhooks specification, and records the outcome.
//!
//! The statement that makes a change also writes its event. If the endpoint is neither failing nor slow, the event is
//! leased to the function that ran the statement, which makes the first attempt after its response. deliver-webhooks
//! makes all other attempts.

mod address;
mod delivery;
mod recipients;
mod sender;
mod signature;

pub use address::Refused;
pub use delivery::{Attempt, Delivery, RECORD, Recorded, deliver, record};
pub use sender::{Failure, Response, Sender};
pub use signature::{InvalidSecret, Secret};
