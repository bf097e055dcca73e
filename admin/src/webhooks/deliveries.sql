-- $1 a tenant  $2 an endpoint, or null for all  $3 the number of deliveries
select
    d.event_id, d.endpoint_id, d.type, coalesce(d.outcome, 'waiting') as state, d.attempts, d.last_status,
    d.last_latency_ms, d.last_answer, d.last_attempt_at,
    case when d.outcome is null then d.next_attempt_at end as next_attempt_at
from tinychat.webhook_endpoints w
cross join lateral (
    select * from tinychat.webhook_deliveries d where d.endpoint_id = w.id order by d.event_id desc limit $3
) d
where w.tenant_id = $1 and ($2 is null or w.id = $2)
order by d.event_id desc, d.endpoint_id
limit $3
