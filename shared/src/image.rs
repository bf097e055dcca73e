//! Uploaded images: the multipart field, the declared type, and the actual type of the bytes.

use crate::{Error, Result};
use bytes::Bytes;
use futures_util::stream;
use lambda_http::http::header::CONTENT_TYPE;
use std::convert::Infallible;

/// The largest upload: 10 MB, inclusive.
pub const MAX_BYTES: u64 = 10_485_760;

/// The image types that may be uploaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum ImageType {
    Jpeg,
    Png,
    Gif,
    Webp,
    Heic,
}

/// Aliases by which clients declare the allowed types.
const ALIASES: [(&str, ImageType); 6] = [
    ("image/jpg", ImageType::Jpeg),
    ("image/pjpeg", ImageType::Jpeg),
    ("image/x-png", ImageType::Png),
    ("image/heif", ImageType::Heic),
    ("image/heic-sequence", ImageType::Heic),
    ("image/heif-sequence", ImageType::Heic),
];

/// Declared types that say nothing about the file. HTTP clients send them for file names that they don't recognise, and
/// without a file name. An absent type means `text/plain` (RFC 7578).
const GENERIC: [&str; 7] = [
    "",
    "application/octet-stream",
    "binary/octet-stream",
    "text/plain",
    "image/*",
    "*/*",
    "multipart/form-data",
];

impl ImageType {
    const ALL: [Self; 5] = [Self::Jpeg, Self::Png, Self::Gif, Self::Webp, Self::Heic];

    /// The type's MIME name.
    pub fn mime(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
            Self::Gif => "image/gif",
            Self::Webp => "image/webp",
            Self::Heic => "image/heic",
        }
    }

    /// The type's usual file name extension.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Jpeg => "jpg",
            Self::Png => "png",
            Self::Gif => "gif",
            Self::Webp => "webp",
            Self::Heic => "heic",
        }
    }

    /// Returns the type that a caller declares by its name or an alias, with or without parameters.
    pub fn declared(content_type: &str) -> Result<Self> {
        let mime = without_parameters(content_type);
        let names = Self::ALL.into_iter().map(|image| (image.mime(), image)).chain(ALIASES);
        let found = names.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(mime));
        found.map(|(_, image)| image).ok_or_else(|| Error::UnsupportedMime(mime.chars().take(255).collect()))
    }

    /// Returns the type of the bytes, by their signature. Nothing is decoded.
    pub fn sniffed(bytes: &[u8]) -> Result<Self> {
        let found = match bytes {
            [0xff, 0xd8, 0xff, ..] => Some(Self::Jpeg),
            [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Some(Self::Png),
            [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some(Self::Gif),
            [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some(Self::Webp),
            [a, b, c, d, b'f', b't', b'y', b'p', ..] => {
                let size = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
                // The whole box must be present: in a text such as `<!--ftypheic`, the first four letters would be a
                // huge length.
                is_heic(bytes.get(8..size).unwrap_or_default()).then_some(Self::Heic)
            }
            _ => None,
        };
        found.ok_or_else(|| Error::UnsupportedMime("application/octet-stream".into()))
    }
}

/// Whether a declared type says nothing about the file, so that only the bytes decide.
fn is_generic(content_type: &str) -> bool {
    GENERIC.iter().any(|generic| generic.eq_ignore_ascii_case(without_parameters(content_type)))
}

/// A content type without its parameters.
pub fn without_parameters(content_type: &str) -> &str {
    content_type.split(';').next().unwrap_or_default().trim()
}

/// Whether the brands of an ISO media file's `ftyp` box (major brand, version, compatible brands) are HEIC's (ISO/IEC
/// 23008-12, annex B). Either the major brand is HEIC's, or it is a general one (`mif1`, `msf1`) and a compatible brand
/// is HEIC's. AVIF has the same box.
fn is_heic(brands: &[u8]) -> bool {
    let heic =
        |brand: &[u8]| [b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx"].iter().any(|b| brand == *b);
    let mut brands = brands.chunks_exact(4);
    match brands.next() {
        Some(b"mif1" | b"msf1") => brands.skip(1).any(heic),
        Some(major) => heic(major),
        None => false,
    }
}

/// Returns the image in the part `file` of a multipart body.
pub async fn from_multipart(content_type: &str, body: Bytes) -> Result<(ImageType, Bytes)> {
    let malformed = |_| Error::invalid("invalid multipart");
    let boundary = multer::parse_boundary(content_type).map_err(malformed)?;
    let mut parts = multer::Multipart::new(stream::iter([Ok::<_, Infallible>(body)]), boundary);
    while let Some(part) = parts.next_field().await.map_err(malformed)? {
        if part.name() != Some("file") {
            continue;
        }
        // The header as it was sent: a value that isn't a content type is refused, too.
        let declared = part
            .headers()
            .get(CONTENT_TYPE)
            .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
        let bytes = part.bytes().await.map_err(malformed)?;
        if bytes.is_empty() {
            break;
        }
        if bytes.len() as u64 > MAX_BYTES {
            return Err(Error::FileTooLarge);
        }
        if let Some(declared) = declared.as_deref().filter(|declared| !is_generic(declared)) {
            ImageType::declared(declared)?;
        }
        return Ok((ImageType::sniffed(&bytes)?, bytes));
    }
    Err(Error::invalid("file is required"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PNG: &[u8] = b"\x89PNG\r\n\x1a\n rest";

    fn form(part: &[u8]) -> Vec<u8> {
        [b"--b\r\n", part, b"\r\n--b--\r\n"].concat()
    }

    fn png_part() -> Vec<u8> {
        let head = b"content-disposition: form-data; name=\"file\"; filename=\"a.png\"\r\ncontent-type: image/png\r\n\r\n";
        [head, PNG].concat()
    }

    async fn parse(body: &[u8]) -> Result<(ImageType, Bytes), String> {
        from_multipart("multipart/form-data; boundary=b", Bytes::copy_from_slice(body))
            .await
            .map_err(|error| error.to_string())
    }

    #[test]
    fn the_signature_decides() {
        let heic = |brands: &[u8]| {
            [&[0, 0, 0, 8 + u8::try_from(brands.len()).unwrap()], &b"ftyp"[..], brands].concat()
        };
        for (bytes, expected) in [
            (b"\xff\xd8\xff\xe0".to_vec(), Some(ImageType::Jpeg)),
            (PNG.to_vec(), Some(ImageType::Png)),
            (b"GIF89a".to_vec(), Some(ImageType::Gif)),
            (b"RIFF\0\0\0\0WEBPVP8 ".to_vec(), Some(ImageType::Webp)),
            (heic(b"heic\0\0\0\0mif1heic"), Some(ImageType::Heic)),
            (heic(b"mif1\0\0\0\0mif1heic"), Some(ImageType::Heic)),
            (heic(b"avif\0\0\0\0mif1heic"), None),
            (heic(b"isom\0\0\0\0mp41"), None),
            (b"<!--ftypheic\0\0\0\0mif1heic".to_vec(), None),
            (b"%PDFftypmif1\0\0\0\0mif1heic".to_vec(), None),
            (b"RIFF\0\0\0\0WAVE".to_vec(), None),
            (b"<html>".to_vec(), None),
            (b"GIF/* */=1".to_vec(), None),
            (Vec::new(), None),
        ] {
            assert_eq!(ImageType::sniffed(&bytes).ok(), expected, "{bytes:?}");
        }
    }

    #[test]
    fn a_declared_type_may_have_parameters_or_an_alias() {
        assert_eq!(ImageType::declared("Image/PNG; x=y").unwrap(), ImageType::Png);
        assert_eq!(ImageType::declared("image/jpg").unwrap(), ImageType::Jpeg);
        assert_eq!(ImageType::declared("image/heif").unwrap(), ImageType::Heic);
        assert!(
            ImageType::declared("application/octet-stream").is_err(),
            "which a direct upload can't be of"
        );
        assert_eq!(
            ImageType::declared("image/svg+xml").unwrap_err().to_string(),
            "unsupported mime: image/svg+xml"
        );
    }

    #[tokio::test]
    async fn the_file_is_found_among_other_parts() {
        let other = b"content-disposition: form-data; name=\"note\"\r\n\r\nhi\r\n--b\r\n";
        let (image, bytes) = parse(&form(&[&other[..], &png_part()].concat())).await.unwrap();
        assert_eq!((image, &*bytes), (ImageType::Png, PNG));
    }

    #[tokio::test]
    async fn a_form_cut_anywhere_is_refused() {
        let whole = form(&png_part());
        for length in 0..whole.len() - b"\r\n--b--\r\n".len() {
            assert!(parse(&whole[..length]).await.is_err(), "{length}");
        }
    }

    #[tokio::test]
    async fn a_form_without_the_part_or_boundary_is_refused() {
        assert_eq!(
            parse(&form(b"content-disposition: form-data; name=\"x\"\r\n\r\nhi")).await.unwrap_err(),
            "file is required"
        );
        assert_eq!(
            from_multipart("multipart/form-data", Bytes::new()).await.unwrap_err().to_string(),
            "invalid multipart"
        );
    }

    proptest! {
        #[test]
        fn a_file_is_found_as_it_was_sent(rest: Vec<u8>, boundary in "[a-zA-Z0-9'+_./:=?-]{10,70}", name in "[a-z ._-]{0,20}") {
            let file = [PNG, &rest].concat();
            prop_assume!(!file.windows(boundary.len()).any(|window| window == boundary.as_bytes()));
            let head = format!(
                "--{boundary}\r\ncontent-disposition: form-data; name=\"file\"; filename=\"{name}\"\r\ncontent-type: image/png\r\n\r\n"
            );
            let body = [head.as_bytes(), &file, format!("\r\n--{boundary}--\r\n").as_bytes()].concat();
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let content_type = format!("multipart/form-data; boundary=\"{boundary}\"");
            let (image, bytes) = runtime.block_on(from_multipart(&content_type, body.into())).unwrap();
            prop_assert_eq!((image, &bytes[..]), (ImageType::Png, &file[..]));
        }

        #[test]
        fn no_bytes_make_the_parser_panic(bytes: Vec<u8>) {
            let _ = ImageType::sniffed(&bytes);
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let _ = runtime.block_on(parse(&form(&bytes)));
            let _ = runtime.block_on(parse(&bytes));
        }
    }
}
