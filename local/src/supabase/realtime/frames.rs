//! Frames of the Realtime websocket, in both versions of its protocol.
//!
//! Frames are JSON objects in version 1.0.0 and arrays in 2.0.0, which also has binary frames for a client's broadcasts. The
//! protocol is Phoenix's: `ref` is the number of a client's message, and `join_ref` that of the join of its channel.

use axum::extract::ws::Message;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The version that a client has requested with `vsn`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Version {
    V1,
    V2,
}

/// A message in either direction.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub(crate) struct Frame {
    #[serde(default)]
    pub(crate) join_ref: Option<String>,
    #[serde(default, rename = "ref")]
    pub(crate) reference: Option<String>,
    pub(crate) topic: String,
    pub(crate) event: String,
    #[serde(default)]
    pub(crate) payload: Value,
}

/// The first byte of a client's broadcast in binary form, and the value of its encoding byte for JSON.
const USER_BROADCAST_PUSH: u8 = 3;
const JSON_ENCODING: u8 = 1;

impl Version {
    /// Decodes a client's frame. Returns `None` if it is invalid.
    pub(crate) fn decode(self, message: &Message) -> Option<Frame> {
        match (self, message) {
            (Self::V1, Message::Text(text)) => serde_json::from_str(text).ok(),
            (Self::V2, Message::Text(text)) => {
                let (join_ref, reference, topic, event, payload) = serde_json::from_str(text).ok()?;
                Some(Frame { join_ref, reference, topic, event, payload })
            }
            (Self::V2, Message::Binary(bytes)) => decode_broadcast(bytes),
            _ => None,
        }
    }

    /// Encodes a frame for a client.
    pub(crate) fn encode(self, frame: &Frame) -> Message {
        let text = match self {
            Self::V1 => json!(frame),
            Self::V2 => json!([frame.join_ref, frame.reference, frame.topic, frame.event, frame.payload]),
        };
        Message::text(text.to_string())
    }
}

fn decode_broadcast(bytes: &[u8]) -> Option<Frame> {
    let (&[kind, join_ref, reference, topic, event, meta, encoding], rest) =
        bytes.split_first_chunk::<7>()?;
    if kind != USER_BROADCAST_PUSH || encoding != JSON_ENCODING {
        return None;
    }
    let mut rest = rest;
    let mut take = |length: u8| {
        let (field, after) = rest.split_at_checked(length.into())?;
        rest = after;
        std::str::from_utf8(field).ok()
    };
    let join_ref = take(join_ref)?;
    let reference = take(reference)?;
    let topic = take(topic)?;
    let event = take(event)?;
    take(meta)?;
    let payload: Value = serde_json::from_slice(rest).ok()?;
    Some(Frame {
        join_ref: some_unless_empty(join_ref),
        reference: some_unless_empty(reference),
        topic: topic.to_owned(),
        event: "broadcast".to_owned(),
        payload: broadcast_payload(event, &payload),
    })
}

fn some_unless_empty(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

/// Returns the payload of a `broadcast` frame.
pub(crate) fn broadcast_payload(event: &str, payload: &Value) -> Value {
    json!({ "type": "broadcast", "event": event, "payload": payload })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame() -> Frame {
        Frame {
            join_ref: Some("1".to_owned()),
            reference: Some("2".to_owned()),
            topic: "realtime:a".to_owned(),
            event: "phx_join".to_owned(),
            payload: json!({"config": {}}),
        }
    }

    #[test]
    fn version_1_is_objects() {
        let text =
            r#"{"topic":"realtime:a","event":"phx_join","payload":{"config":{}},"ref":"2","join_ref":"1"}"#;
        assert_eq!(Version::V1.decode(&Message::text(text)), Some(frame()));
        assert_eq!(Version::V1.decode(&Version::V1.encode(&frame())), Some(frame()));
    }

    #[test]
    fn version_2_is_arrays() {
        let text = r#"["1","2","realtime:a","phx_join",{"config":{}}]"#;
        assert_eq!(Version::V2.decode(&Message::text(text)), Some(frame()));
        assert_eq!(Version::V2.encode(&frame()), Message::text(text));
    }

    #[test]
    fn version_2_broadcasts_in_binary() {
        let bytes = b"\x03\x01\x01\x0a\x03\x00\x0112realtime:ahey{\"a\":1}".as_slice();
        let decoded = Version::V2.decode(&Message::binary(bytes)).unwrap();
        assert_eq!(decoded.payload, json!({"type": "broadcast", "event": "hey", "payload": {"a": 1}}));
        assert_eq!((decoded.topic.as_str(), decoded.event.as_str()), ("realtime:a", "broadcast"));
        let cut = bytes.get(..12).unwrap();
        assert_eq!(Version::V2.decode(&Message::binary(cut)), None);
    }

    #[test]
    fn an_invalid_frame_is_refused() {
        assert_eq!(Version::V2.decode(&Message::text("{}")), None);
        assert_eq!(Version::V1.decode(&Message::text("[1")), None);
    }
}
