//! The events in events/, which `sam local invoke` and newcomers use.

use crate::support::Function;
use crate::support::lambda::{event, functions, routes};
use std::collections::BTreeSet;

#[tokio::test]
async fn every_route_answers_its_event_on_the_demo_data() {
    for name in routes() {
        let expected = if name == "route-not-found" { 404 } else { 200 };
        let mut function = Function::start(&name, &[]).await;
        // Twice, because people invoke again.
        for _ in 0..2 {
            let (status, body) = function.call(event(&name)).await;
            assert_eq!(status, expected, "{name}: {body}");
        }
    }
}

#[test]
fn every_event_is_that_of_a_function() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../events");
    let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let events: BTreeSet<_> =
        files.map(|file| file.file_stem().unwrap().to_str().unwrap().to_owned()).collect();
    assert_eq!(events, functions().into_iter().collect());
}
