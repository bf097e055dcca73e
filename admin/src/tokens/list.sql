-- $1 a tenant
select id, created_at, revoked_at, case when revoked_at is null then 'active' else 'revoked' end as state
from tinychat.token_keys
where tenant_id = $1
order by created_at, id
