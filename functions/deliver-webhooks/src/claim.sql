-- $1 endpoints that are being served  $2 the tenant of each  $3 how many more may be  $4 how many of one tenant's
-- Endpoints with events to deliver: one step in the index for each, however long its backlog.
with recursive waiting (endpoint_id) as (
    (select endpoint_id from tinychat.webhook_deliveries where outcome is null order by endpoint_id limit 1)
    union all
    select (
        select d.endpoint_id
        from tinychat.webhook_deliveries d
        where d.outcome is null and d.endpoint_id > w.endpoint_id
        order by d.endpoint_id
        limit 1
    )
    from waiting w
    where w.endpoint_id is not null
),
due as (
    select e.id, e.tenant_id, e.failures >= tinychat.webhook_patience() as fails,
        greatest(oldest.next_attempt_at, e.held_until) as at
    from waiting w
    join tinychat.webhook_endpoints e on e.id = w.endpoint_id
    cross join lateral (
        select d.next_attempt_at
        from tinychat.webhook_deliveries d
        where d.endpoint_id = e.id and d.outcome is null
        order by d.next_attempt_at
        limit 1
    ) oldest
    where e.disabled_at is null
),
ranked as (
    select due.*, row_number() over (partition by tenant_id order by fails, at) as rank
    from due
    where at <= now() and id <> all ($1)
),
-- Those that fail come last, so that they don't keep others waiting.
chosen as (
    select id, fails
    from ranked
    where rank <= $4 - cardinality(array_positions($2, tenant_id))
    order by fails, at
    limit $3
),
-- One that fails is tried with a single event.
claimed as (
    update tinychat.webhook_deliveries d
    set next_attempt_at = tinychat.now_ms() + interval '20 s'
    from chosen
    cross join lateral (
        select o.event_id
        from tinychat.webhook_deliveries o
        where o.endpoint_id = chosen.id and o.outcome is null and o.next_attempt_at <= now()
        order by o.next_attempt_at
        limit case when chosen.fails then 1 else 50 end
        for update skip locked
    ) oldest
    where d.endpoint_id = chosen.id and d.event_id = oldest.event_id
    returning d as delivery
)
select ahead.oldest_seconds, ahead.next_seconds, taken.delivery
from (
    select
        coalesce(extract(epoch from greatest(now() - min(at), '0')), 0)::double precision as oldest_seconds,
        -- Null where nothing is left; greatest() by itself would make that a 0.
        extract(epoch from min(greatest(at, now())) filter (where id <> all ($1)) - now())::double precision
            as next_seconds
    from due
) ahead
left join (
    select (c.delivery).event_id, tinychat.webhook_delivery(c.delivery, w) as delivery
    from claimed c
    join tinychat.webhook_endpoints w on w.id = (c.delivery).endpoint_id
) taken on true
order by taken.event_id
