-- A key may be revoked ahead of time, so that its successor can be rolled out while both open.

create or replace function tinychat.tenant(key_hash bytea)
returns table (verdict text, id uuid, name text)
language sql stable
as $$
    select
        case t.status
            when 'active' then 'ok'
            when 'overage' then 'tenant_overage'
            when 'suspended' then 'tenant_suspended'
            else 'invalid_api_key'
        end,
        case when t.status = 'active' then t.id end,
        t.name
    from (values (key_hash)) as given (hash)
    left join (tinychat.api_keys k join tinychat.tenants t on t.id = k.tenant_id)
        on k.hash = given.hash and (k.revoked_at is null or k.revoked_at > now())
$$;
