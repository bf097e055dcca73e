//! The event with which a function is invoked, from any source.
#![no_main]

use libfuzzer_sys::fuzz_target;
use shared::http::Request;

fuzz_target!(|event: &[u8]| {
    if let Ok(request) = Request::from_event(event) {
        let _ = request.credential();
        let _ = request.conversation_id();
        let _ = request.message_id();
        let _ = request.query();
        let _ = request.json();
        let _ = request.content_type();
    }
});
