//! The form of an upload. The first line of the input is the content type, the rest is the body.
#![no_main]

use bytes::Bytes;
use futures_util::FutureExt;
use libfuzzer_sys::fuzz_target;
use shared::image::{ImageType, from_multipart};

fuzz_target!(|data: &[u8]| {
    let end = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    let (content_type, body) = (String::from_utf8_lossy(&data[..end]), &data[(end + 1).min(data.len())..]);
    let parsed = from_multipart(&content_type, Bytes::copy_from_slice(body)).now_or_never();
    if let Ok((image, bytes)) = parsed.expect("the body is complete") {
        assert_eq!(ImageType::sniffed(&bytes).ok(), Some(image));
        assert!(body.windows(bytes.len()).any(|window| window == bytes));
    }
});
