-- $1 a tenant
select
    prefix, created_at, revoked_at,
    case
        when revoked_at is null then 'active'
        when revoked_at > clock_timestamp() then 'ends'
        else 'revoked'
    end as state
from tinychat.api_keys
where tenant_id = $1
order by created_at, prefix
