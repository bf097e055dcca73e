//! The route's input: an image, or the type and size of an image that the caller will upload directly.

use bytes::Bytes;
use serde_json::Value;
use shared::fields::{Field, ShortText};
use shared::http::Request;
use shared::image::{self, ImageType, MAX_BYTES};
use shared::{Error, Result};

pub struct Input {
    pub image: ImageType,
    pub content: Content,
}

pub enum Content {
    /// The file itself, which must fit into a Lambda request.
    File(Bytes),
    /// The length of the file that the caller will upload directly.
    Direct(Size),
}

impl Input {
    pub async fn parse(request: &Request) -> Result<Self> {
        match image::without_parameters(request.content_type()).to_ascii_lowercase().as_str() {
            "multipart/form-data" => {
                let (image, bytes) =
                    image::from_multipart(request.content_type(), request.body().clone()).await?;
                Ok(Self { image, content: Content::File(bytes) })
            }
            "application/json" => {
                let mut body = request.json()?;
                let declared: ShortText = body.required("content_type")?;
                let size = body.required("size")?;
                Ok(Self { image: ImageType::declared(&declared)?, content: Content::Direct(size) })
            }
            _ => Err(Error::invalid("content-type must be multipart/form-data or application/json")),
        }
    }
}

/// A file's length in bytes.
pub struct Size(pub u64);

impl Field for Size {
    fn parse(name: &str, value: Value) -> Result<Self> {
        match whole_number(&value) {
            None | Some(0) => Err(Error::invalid(format!("{name} must be a whole number of at least 1"))),
            Some(bytes) if bytes > MAX_BYTES => Err(Error::FileTooLarge),
            Some(bytes) => Ok(Self(bytes)),
        }
    }
}

/// Returns a JSON number that is whole. JSON doesn't distinguish 9 from 9.0, and some clients write the latter. Numbers
/// above `u64::MAX` become `u64::MAX`.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the cast saturates")]
fn whole_number(value: &Value) -> Option<u64> {
    let whole = |number: &f64| number.fract() == 0.0 && *number >= 0.0;
    value.as_u64().or_else(|| value.as_f64().filter(whole).map(|number| number as u64))
}
