-- $1 endpoints that are being served  $2 the tenant of each  $3 how many more may be  $4 how many of one tenant's
-- $5 how many bytes of payloads fit in  $6 endpoints where events waited at the last look  $7 from when on to look there
-- $8 from when on to look elsewhere: what was delivered before leaves dead entries in the index, which a long transaction
-- elsewhere can keep in it
with due as (
    select e.id, e.tenant_id, e.failures >= tinychat.webhook_patience() as fails,
        not tinychat.webhook_is_prompt(e) as last, oldest.next_attempt_at as first,
        greatest(oldest.next_attempt_at, e.held_until) as at
    from tinychat.webhook_endpoints e
    left join unnest($6, $7) as known (id, since) on known.id = e.id
    cross join lateral (
        select d.next_attempt_at
        from tinychat.webhook_deliveries d
        where d.endpoint_id = e.id and d.outcome is null and d.next_attempt_at >= coalesce(known.since, $8)
        order by d.next_attempt_at
        limit 1
    ) oldest
    where e.disabled_at is null
),
ranked as (
    select due.*, row_number() over (partition by tenant_id order by last, at) as rank
    from due
    where at <= now() and id <> all ($1)
),
-- Those that fail or are slow come last, so that they don't keep others waiting.
chosen as (
    select id, fails, first, row_number() over (order by last, at) as lane
    from ranked
    where rank <= $4 - cardinality(array_positions($2, tenant_id))
    order by lane
    limit $3
),
-- One that fails is tried with a single event.
oldest as (
    select chosen.id, chosen.lane, o.event_id, o.bytes, o.next_attempt_at
    from chosen
    cross join lateral (
        select o.event_id, octet_length(o.payload) as bytes, o.next_attempt_at
        from tinychat.webhook_deliveries o
        where o.endpoint_id = chosen.id and o.outcome is null
            and o.next_attempt_at >= chosen.first and o.next_attempt_at <= now()
        order by o.next_attempt_at
        limit case when chosen.fails then 1 else 50 end
        for update skip locked
    ) o
),
-- Each endpoint's first event before any endpoint's second.
fitting as (
    select id, event_id
    from (
        select *, sum(bytes) over (order by position, lane) - bytes as ahead
        from (
            select *, row_number() over (partition by id order by next_attempt_at, event_id) as position from oldest
        ) positions
    ) sums
    where ahead < $5
),
-- One that is still claimed is of a process that died in the attempt. That counts as a failure, lest it be what kills.
claimed as (
    update tinychat.webhook_deliveries d
    set
        claimed = true,
        attempts = d.attempts + d.claimed::integer,
        next_attempt_at = tinychat.now_ms() + interval '1 s' * case
            when d.claimed
                then (array[20, 30, 120, 600, 3600, 21600, 86400])[least(d.attempts + 1, 7)] * (1 + 0.4 * random())
            else 20
        end
    from fitting
    where d.endpoint_id = fitting.id and d.event_id = fitting.event_id
    returning d as delivery
)
select ahead.*, taken.delivery
from (
    select
        coalesce(extract(epoch from greatest(now() - min(at), '0')), 0)::double precision as overdue_seconds,
        -- Null where nothing is left; greatest() by itself would make that a 0.
        extract(epoch from min(greatest(at, now())) filter (where id <> all ($1)) - now())::double precision
            as next_seconds,
        -- Transactions that are under way may still write what was due some seconds ago.
        array_agg(id) filter (where id is not null) as waiting,
        array_agg(least(first, now()) - interval '10 s') filter (where id is not null) as since,
        now() - interval '10 s' as since_elsewhere
    from due
) ahead
left join (
    select (c.delivery).event_id, tinychat.webhook_delivery(c.delivery, w) as delivery
    from claimed c
    join tinychat.webhook_endpoints w on w.id = (c.delivery).endpoint_id
) taken on true
order by taken.event_id
