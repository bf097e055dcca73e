//! What functions find when they thaw: a database that went away in the meantime, and came back.

use crate::cloud::{downs, during, kill_backends, until_frozen};
use crate::routes::routes;
use crate::support::Chat;

#[tokio::test]
async fn connections_that_died_in_the_freezer_fail_nothing() {
    let chat = Chat::new().await;
    every_route_answers(&chat).await;
    let killed = kill_backends(i64::MAX).await;
    assert!(killed > 1, "{killed} connections");
    every_route_answers(&chat).await;
}

#[tokio::test]
async fn a_restart_in_the_freezer_fails_nothing() {
    let chat = Chat::new().await;
    every_route_answers(&chat).await;
    for down in downs() {
        during(down, async {}).await;
        every_route_answers(&chat).await;
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
        every_route_answers(&chat).await;
    }
}

/// Asserts that every route answers 200, and lets it freeze.
async fn every_route_answers(chat: &Chat) {
    until_frozen().await;
    for route in routes(chat).await {
        chat.call(route.request).await.ok();
    }
    until_frozen().await;
}
