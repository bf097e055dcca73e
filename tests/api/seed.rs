//! supabase/seed.sql, which `make dev` runs at every start. It repairs the demo tenant.

use support::Chat;

const BREAK: &str = "update tinychat.tenants
        set status = 'suspended', message_limit = 1, tokens_required = true, guard = true, retention_days = 1
        where id = '11111111-2222-4333-8444-555555555555';
    update tinychat.api_keys set revoked_at = now()
        where tenant_id = '11111111-2222-4333-8444-555555555555';
    insert into tinychat.token_revocations (tenant_id, user_id, issued_before)
        values ('11111111-2222-4333-8444-555555555555', 'u_42', now() + interval '1 day')";

const WORKS: &str = "select status = 'active' and message_limit is null and not tokens_required and not guard
        and retention_days is null and revoked_at is null
        and not exists (select from tinychat.token_revocations r where r.tenant_id = t.id)
    from tinychat.api_keys k join tinychat.tenants t on t.id = k.tenant_id
    where k.hash = sha256('pk_test_DemoTenantOnlyForLocalUse01')";

#[tokio::test]
async fn the_seed_heals_the_demo_tenant_its_revoked_key_and_its_users_revoked_tokens() {
    let mut chat = Chat::new().await;
    // Never committed, because other tests use the demo tenant.
    let transaction = chat.db.transaction().await.unwrap();
    transaction.batch_execute(BREAK).await.unwrap();
    assert!(!transaction.query_one(WORKS, &[]).await.unwrap().get::<_, bool>(0));
    transaction.batch_execute(include_str!("../../supabase/seed.sql")).await.unwrap();
    assert!(transaction.query_one(WORKS, &[]).await.unwrap().get::<_, bool>(0));
}
