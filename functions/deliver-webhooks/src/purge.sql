-- $1 days to keep events after they were delivered or given up  $2 how many to purge at once
with purged as (
    delete from tinychat.webhook_deliveries
    where (endpoint_id, event_id) in (
        select endpoint_id, event_id
        from tinychat.webhook_deliveries
        where outcome is not null and settled_at < now() - $1 * interval '1 day'
        limit $2
        for update skip locked
    )
    returning 1
)
select count(*) from purged
