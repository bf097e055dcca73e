-- Two demo tenants for a laptop, with the keys and ids that events/*.json and the README use. Never for production:
-- these keys are public. Safe to run again: that restores the tenants' settings, revoked keys and revoked user tokens.

insert into tinychat.tenants (id, name) values
    ('11111111-2222-4333-8444-555555555555', 'Acme Logistics'),
    ('66666666-7777-4888-9999-000000000000', 'Other Tenant')
on conflict (id) do update
    set status = 'active', message_limit = null, tokens_required = false, guard = false, retention_days = null;

delete from tinychat.token_revocations
where tenant_id in ('11111111-2222-4333-8444-555555555555', '66666666-7777-4888-9999-000000000000');

insert into tinychat.api_keys (hash, tenant_id, prefix)
select sha256(key::bytea), tenant_id::uuid, left(key, 12)
from (values
    ('pk_test_DemoTenantOnlyForLocalUse01', '11111111-2222-4333-8444-555555555555'),
    ('pk_test_OtherTenantOnlyForLocalUse1', '66666666-7777-4888-9999-000000000000')
) as demo (key, tenant_id)
on conflict (hash) do update set revoked_at = null;

insert into tinychat.api_keys (hash, tenant_id, prefix, kind) values
    (sha256('sk_test_DemoTenantOnlyForLocalUse01'), '11111111-2222-4333-8444-555555555555', 'sk_test_Demo', 'secret')
on conflict (hash) do update set revoked_at = null;

insert into tinychat.conversations (id, tenant_id, kind, external_ref, participants, created_at, last_at) values
    ('c0ffee00-0000-4000-8000-000000000001', '11111111-2222-4333-8444-555555555555', 'order', 'order_9001',
        '{u_42,driver_3}', '2026-01-15T10:15:00Z', '2026-01-15T10:18:30Z'),
    ('c0ffee00-0000-4000-8000-000000000002', '11111111-2222-4333-8444-555555555555', 'support', 'ticket_78',
        '{u_42,agent_7}', '2026-01-15T09:00:00Z', '2026-01-15T09:04:00Z')
on conflict do nothing;

insert into tinychat.participants (conversation_id, user_id, tenant_id, kind, active_at)
select id, unnest(participants), tenant_id, kind, last_at
from tinychat.conversations
where id in ('c0ffee00-0000-4000-8000-000000000001', 'c0ffee00-0000-4000-8000-000000000002')
on conflict do nothing;

insert into tinychat.messages (conversation_id, id, sender_id, body, message_type, created_at) values
    ('c0ffee00-0000-4000-8000-000000000001', '01990000-0000-7000-8000-000000000001', 'u_42',
        'Hi, where''s my order?', 'text', '2026-01-15T10:18:01.412Z'),
    ('c0ffee00-0000-4000-8000-000000000001', '01990000-0000-7000-8000-000000000002', 'u_42',
        'Hello?', 'text', '2026-01-15T10:18:20Z'),
    ('c0ffee00-0000-4000-8000-000000000001', '01990000-0000-7000-8000-000000000003', 'driver_3',
        'Two minutes away.', 'text', '2026-01-15T10:18:30Z'),
    ('c0ffee00-0000-4000-8000-000000000002', '01990000-0000-7000-8000-000000000004', 'u_42',
        'My card was charged twice.', 'text', '2026-01-15T09:00:30Z'),
    ('c0ffee00-0000-4000-8000-000000000002', '01990000-0000-7000-8000-000000000005', 'agent_7',
        'One of them goes back to you today.', 'text', '2026-01-15T09:04:00Z')
on conflict do nothing;
