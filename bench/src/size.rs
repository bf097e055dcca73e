//! The sizes of the binaries, plain and zipped as they are uploaded.

use crate::cold::HELLO;
use crate::lab::Lab;
use crate::routes::ROUTES;
use flate2::Compression;
use flate2::write::DeflateEncoder;
use serde::Serialize;
use std::fs;
use std::io::Write;

/// A binary's size in bytes.
#[derive(Serialize)]
pub(crate) struct BinarySize {
    pub(crate) function: &'static str,
    pub(crate) plain: u64,
    /// The size that `zip` compresses it to by default, without the zip's headers of about a hundred bytes.
    pub(crate) zipped: u64,
}

/// Measures all binaries.
pub(crate) fn measure(lab: &Lab) -> anyhow::Result<Vec<BinarySize>> {
    let names = std::iter::once(HELLO).chain(ROUTES.iter().map(|route| route.name));
    names
        .map(|function| {
            let binary = fs::read(lab.binaries.join(function))?;
            let mut zip = DeflateEncoder::new(Vec::new(), Compression::default());
            zip.write_all(&binary)?;
            Ok(BinarySize {
                function,
                plain: u64::try_from(binary.len())?,
                zipped: u64::try_from(zip.finish()?.len())?,
            })
        })
        .collect()
}
