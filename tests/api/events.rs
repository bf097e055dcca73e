//! The events in events/, which `sam local invoke` uses.

use support::Function;
use support::lambda::{event, routes};

#[tokio::test]
async fn every_route_answers_its_event_on_the_demo_data() {
    for name in routes() {
        let expected = if name == "route-not-found" { 404 } else { 200 };
        let mut function = Function::start(&name, &[]).await;
        // Twice, because an event must work any number of times.
        for _ in 0..2 {
            let (status, body) = function.call(event(&name)).await;
            assert_eq!(status, expected, "{name}: {body}");
        }
    }
}
