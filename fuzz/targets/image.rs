//! The image type of an upload's bytes. Nothing that a browser could interpret as a page may be accepted as an image.
#![no_main]

use libfuzzer_sys::fuzz_target;
use shared::image::ImageType;

fuzz_target!(|bytes: &[u8]| {
    let _ = ImageType::declared(&String::from_utf8_lossy(bytes));
    if let Ok(image) = ImageType::sniffed(bytes) {
        let start = bytes.trim_ascii_start();
        assert!(!start.starts_with(b"<") && !start.starts_with(b"%PDF"), "{image:?}");
        assert!(ImageType::declared(image.mime()).is_ok_and(|declared| declared == image));
    }
});
