-- $1 the first day, as text  $2 the period's length, as text  $3 a tenant, or null for all
select
    t.id, t.name, requests.*,
    case
        when t.tokens_required then 'required'
        when exists (
            select from tinychat.token_keys k where k.tenant_id = t.id and k.revoked_at is null
        ) then 'accepted'
        else 'off'
    end as tokens
from tinychat.tenants t
cross join lateral (
    select
        coalesce(sum(u.requests) filter (where u.credential = 'publishable'), 0)::bigint as publishable,
        coalesce(sum(u.requests) filter (where u.credential = 'secret'), 0)::bigint as secret,
        coalesce(sum(u.requests) filter (where u.credential = 'token'), 0)::bigint as token,
        max(u.day) filter (where u.credential = 'publishable')::text as last_publishable
    from tinychat.credential_usage u
    where u.tenant_id = t.id and u.day >= $1::date and u.day < $1::date + $2::interval
) requests
where $3 is null or t.id = $3
order by t.created_at, t.id
