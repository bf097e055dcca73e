-- $1 the key's id  $2 its inner pad  $3 its outer pad
-- Creates the demo tenant's key. Each run has its own secret.
insert into tinychat.token_keys (id, tenant_id, inner_pad, outer_pad)
select $1, id, $2, $3 from tinychat.tenants where id = '11111111-2222-4333-8444-555555555555'
on conflict (id) do update
    set inner_pad = excluded.inner_pad, outer_pad = excluded.outer_pad, revoked_at = null
