-- $1 a tenant  $2 an endpoint, or null for all
select
    w.id, w.url, array_to_string(w.events, ' ') as events, w.recipients, w.failures, w.created_at,
    case
        when w.disabled_at is not null then 'disabled: ' || w.disabled_reason
        when w.held_until > now() then 'on hold'
        when w.slowness >= 10 then 'slow'
        else 'active'
    end as state,
    (
        select count(*) from tinychat.webhook_deliveries d where d.endpoint_id = w.id and d.outcome is null
    ) as waiting
from tinychat.webhook_endpoints w
where w.tenant_id = $1 and ($2 is null or w.id = $2)
order by w.created_at, w.id
