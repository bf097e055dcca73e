-- $1 how many events to give up at once
-- Finds the endpoints with waiting events, whether enabled, disabled or deleted: one index step for each.
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
old as (
    select o.endpoint_id, o.event_id
    from waiting w
    cross join lateral (
        select o.endpoint_id, o.event_id
        from tinychat.webhook_deliveries o
        where o.endpoint_id = w.endpoint_id and o.outcome is null and o.queued_at < now() - interval '3 days'
        limit $1
        for update skip locked
    ) o
    limit $1
),
expired as (
    update tinychat.webhook_deliveries d
    set outcome = 'dead', settled_at = now(), last_answer = coalesce(d.last_answer, 'given up after three days')
    from old
    where d.endpoint_id = old.endpoint_id and d.event_id = old.event_id
    returning 1
)
select count(*) from expired
