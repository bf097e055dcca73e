//! Functions that are thawed after the database has been down or has ended their connections.

use crate::cloud::{downs, during, kill_backends, until_frozen};
use crate::routes::routes;
use support::Chat;

#[tokio::test]
async fn connections_that_end_while_functions_are_frozen_fail_no_request() {
    let chat = Chat::new().await;
    every_route_works(&chat).await;
    let killed = kill_backends(i64::MAX).await;
    assert!(killed > 1, "only {killed} connections were ended");
    every_route_works(&chat).await;
}

#[tokio::test]
async fn a_restart_of_the_database_while_functions_are_frozen_fails_no_request() {
    let chat = Chat::new().await;
    every_route_works(&chat).await;
    for down in downs() {
        during(down, async {}).await;
        every_route_works(&chat).await;
    }
}

#[tokio::test]
async fn without_postgres_every_route_answers_500_and_recovers_by_itself() {
    let chat = Chat::new().await;
    let routes = routes(&chat).await;
    for down in downs() {
        during(down, async {
            for route in &routes {
                let began = std::time::Instant::now();
                chat.call(route.request.clone()).await.error(500, "database unavailable");
                assert!(began.elapsed().as_secs() < 3, "{}", route.function);
            }
        })
        .await;
        every_route_works(&chat).await;
    }
}

/// Asserts that every route responds with 200, and waits until the functions are frozen.
async fn every_route_works(chat: &Chat) {
    until_frozen().await;
    for route in routes(chat).await {
        chat.call(route.request).await.ok();
    }
    until_frozen().await;
}
