//! supabase/seed.sql, which `make dev` runs at every start: the demo works again, whatever was done to its tenant.

use crate::support::Chat;

const BREAK: &str = "update tinychat.tenants set status = 'suspended', message_limit = 1
        where id = '11111111-2222-4333-8444-555555555555';
    update tinychat.api_keys set revoked_at = now()
        where tenant_id = '11111111-2222-4333-8444-555555555555'";

const WORKS: &str = "select status = 'active' and message_limit is null and revoked_at is null
    from tinychat.api_keys join tinychat.tenants on id = tenant_id
    where hash = sha256('pk_test_DemoTenantOnlyForLocalUse01')";

#[tokio::test]
async fn the_seed_heals_a_suspended_demo_tenant_and_its_revoked_key() {
    let mut chat = Chat::new().await;
    // Never committed, because other tests use the demo tenant.
    let transaction = chat.db.transaction().await.unwrap();
    transaction.batch_execute(BREAK).await.unwrap();
    assert!(!transaction.query_one(WORKS, &[]).await.unwrap().get::<_, bool>(0));
    transaction.batch_execute(include_str!("../../supabase/seed.sql")).await.unwrap();
    assert!(transaction.query_one(WORKS, &[]).await.unwrap().get::<_, bool>(0));
}
