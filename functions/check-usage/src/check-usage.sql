-- A tenant that has reached its limit this month is overage, one that is below it again is active; a suspended one stays
-- suspended. Nothing is counted beyond the limit.
with used as (
    select t.id, t.status, case when count(m) < t.message_limit then 'active' else 'overage' end as deserved
    from (select date_trunc('month', now(), 'UTC') as since) month
    cross join tinychat.tenants t
    left join lateral (
        select 1
        from tinychat.messages_between(t.id, month.since, month.since + interval '1 month')
        limit t.message_limit
    ) m on true
    where t.message_limit is not null and t.status <> 'suspended'
    group by t.id
)
update tinychat.tenants t
set status = used.deserved
from used
where t.id = used.id and t.status = used.status and t.status <> used.deserved -- as it was when its messages were counted
returning t.id, t.status
