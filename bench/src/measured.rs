//! The results of all measurements.

use crate::cold::Cold;
use crate::hot::Hot;
use crate::noise::Noise;
use crate::plans::Plans;
use crate::scale::Scale;
use crate::sends::Sends;
use crate::size::BinarySize;
use crate::tokens::Tokens;
use crate::warm::Warm;
use crate::webhooks::Webhooks;
use serde::Serialize;

/// The measurements of a run. Those that `BENCH_ONLY` leaves out are empty. Times are in milliseconds for cold starts, and
/// in microseconds for everything else.
#[derive(Serialize)]
pub(crate) struct Measured {
    pub(crate) warm: Vec<Warm>,
    pub(crate) noise: Option<Noise>,
    pub(crate) tokens: Vec<Tokens>,
    pub(crate) plans: Vec<Plans>,
    pub(crate) sends: Vec<Sends>,
    pub(crate) hot: Vec<Hot>,
    pub(crate) webhooks: Vec<Webhooks>,
    pub(crate) scale: Vec<Scale>,
    pub(crate) cold: Vec<Cold>,
    pub(crate) size: Vec<BinarySize>,
}
