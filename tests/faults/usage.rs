//! Plan limits, when the usage of a tenant can't be checked.

use crate::cloud::superuser;
use support::lambda::event;
use support::{Chat, Function};

async fn limit(chat: &Chat, messages: i64) {
    let limit = "update tinychat.tenants set message_limit = $2 where id = $1";
    chat.db.execute(limit, &[&chat.tenant, &messages]).await.unwrap();
}

async fn status(chat: &Chat) -> String {
    let status = "select status from tinychat.tenants where id = $1";
    chat.db.query_one(status, &[&chat.tenant]).await.unwrap().get(0)
}

#[tokio::test]
async fn a_tenant_that_cannot_be_checked_does_not_prevent_the_check_of_others() {
    let mut chats = [Chat::new().await, Chat::new().await, Chat::new().await];
    chats.sort_by_key(|chat| chat.tenant);
    for chat in &chats {
        limit(chat, 1).await;
    }
    let [blocked, others @ ..] = &chats;
    let client = superuser().await;
    client.batch_execute("begin").await.unwrap();
    let lock = "select from tinychat.tenants where id = $1 for update";
    client.query(lock, &[&blocked.tenant]).await.unwrap();
    let mut function = Function::start("check-usage", &[]).await;
    function.invoke(event("check-usage")).await.expect_err("the locked tenant must fail the run");
    function.log_line(&blocked.tenant.to_string()).await;
    assert_eq!(status(blocked).await, "active");
    for other in others {
        assert_eq!(status(other).await, "overage");
    }
    client.batch_execute("rollback").await.unwrap();
    function.invoke(event("check-usage")).await.unwrap();
    assert_eq!(status(blocked).await, "overage");
}
