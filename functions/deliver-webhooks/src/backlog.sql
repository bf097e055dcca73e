-- The seconds since the oldest waiting event was written, at endpoints that are enabled
select coalesce(extract(epoch from now() - min(first.queued_at)), 0)::double precision
from tinychat.webhook_endpoints e
cross join lateral (
    select d.queued_at
    from tinychat.webhook_deliveries d
    where d.endpoint_id = e.id and d.outcome is null
    order by d.queued_at
    limit 1
) first
where e.disabled_at is null
