-- $1 endpoints that are being served  $2 the tenant of each  $3 how many more may be served
-- $4 how many may be served for one tenant  $5 how many bytes of payloads fit into memory
-- $6 endpoints where events waited at the last look  $7 the time from which to look at each of those
-- $8 the time from which to look at all others
-- The times skip delivered events: they leave dead entries in the index, which a long transaction can keep there.
with due as (
    select e.id, e.tenant_id, e.failures >= tinychat.webhook_failure_threshold() as fails,
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
-- Endpoints that fail or are slow come last, so that they don't delay others.
chosen as (
    select id, fails, first, row_number() over (order by last, at) as lane
    from ranked
    where rank <= $4 - cardinality(array_positions($2, tenant_id))
    order by lane
    limit $3
),
-- A failing endpoint is tried with a single event.
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
-- An event that is still claimed belongs to a process that died during the attempt. That counts as a failure, in case
-- the event itself caused it.
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
        -- Null if nothing is left; greatest() alone would return 0 then.
        extract(epoch from min(greatest(at, now())) filter (where id <> all ($1)) - now())::double precision
            as next_seconds,
        -- Open transactions may still write events that were due some seconds ago.
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
