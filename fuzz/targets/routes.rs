//! The input of each route: its JSON body, form or query. The first byte of the data selects the route and the content type.
#![no_main]

use base64::{Engine, prelude::BASE64_STANDARD};
use libfuzzer_sys::fuzz_target;
use serde_json::json;
use shared::http::Request;

include!(concat!(env!("OUT_DIR"), "/routes.rs"));

const KEY: &str = "pk_test_DemoTenantOnlyForLocalUse01";
const CONTENT_TYPES: [&str; 2] = ["application/json", "multipart/form-data; boundary=b"];

fuzz_target!(|data: &[u8]| {
    let Some((&choice, input)) = data.split_first() else { return };
    let choice = usize::from(choice);
    let event = json!({
        "headers": { "x-tinychat-api-key": KEY, "content-type": CONTENT_TYPES[choice / ROUTES.len() % CONTENT_TYPES.len()] },
        "rawQueryString": String::from_utf8_lossy(input),
        "requestContext": { "http": { "method": "POST" } },
        "body": BASE64_STANDARD.encode(input),
        "isBase64Encoded": true,
    });
    let request = Request::from_event(event.to_string().as_bytes()).expect("the event is valid");
    ROUTES[choice % ROUTES.len()](&request);
});
