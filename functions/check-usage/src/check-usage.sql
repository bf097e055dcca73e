-- $1 a tenant with a limit
-- Counts a step of the tenant's messages of this month: a day at most, so that no step takes long and each message is
-- counted once. Ids are made by the functions' clocks and committed later, so messages younger than five minutes are
-- counted again each time. At the end, a tenant that has reached its limit becomes overage, and one below it becomes
-- active again.
with tenant as (
    select t.id, t.status, t.message_limit, month.since, coalesce(u.messages, 0) as messages,
        coalesce(u.counted_until, month.since) as counted_until
    from (select date_trunc('month', now(), 'UTC') as since) month
    join tinychat.tenants t on t.id = $1 and t.message_limit is not null and t.status <> 'suspended'
    left join tinychat.usage u on u.tenant_id = t.id and u.month = month.since
),
step as (
    select tenant.*, settled, least(counted_until + interval '1 day', settled) as until
    from tenant
    cross join lateral (select greatest(counted_until, now() - interval '5 minutes') as settled) s
),
counted as (
    insert into tinychat.usage as u (tenant_id, month, messages, counted_until)
    select id, since, messages + (select count(*) from tinychat.messages_between(id, counted_until, until)), until
    from step
    on conflict (tenant_id) do update
        set month = excluded.month, messages = excluded.messages, counted_until = excluded.counted_until
    returning u.messages
),
used as (
    select step.*, counted.messages >= message_limit or until = settled as done,
        case when counted.messages + recent.messages < message_limit then 'active' else 'overage' end as deserved
    from step
    cross join counted
    cross join lateral (
        select count(*) as messages
        from (
            select 1
            from tinychat.messages_between(id, until, since + interval '1 month')
            where until = settled
            limit greatest(message_limit - counted.messages, 0)
        ) m
    ) recent
),
changed as (
    update tinychat.tenants t
    set status = used.deserved
    from used
    where used.done and t.id = used.id and t.status = used.status and t.status <> used.deserved -- as it was before
    returning t.status
)
select used.done, changed.status from used left join changed on true
