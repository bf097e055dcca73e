-- $1 a tenant, or null for all
select
    t.*,
    (
        select count(*)
        from tinychat.api_keys k
        where k.tenant_id = t.id and (k.revoked_at is null or k.revoked_at > now())
    ) as keys
from tinychat.tenants t
where $1 is null or t.id = $1
order by t.created_at, t.id
