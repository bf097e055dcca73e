-- $1 the first day, as text  $2 the period's length, as text  $3 a tenant, or null for all
select t.id, t.name, t.status, t.message_limit, m.messages, m.users, c.conversations
from (select $1::timestamp at time zone 'UTC', ($1::timestamp + $2::interval) at time zone 'UTC') as p (since, until)
cross join tinychat.tenants t
cross join lateral (
    select count(*) as messages, count(distinct sender_id) as users
    from tinychat.messages_between(t.id, p.since, p.until)
) m
cross join lateral (
    select count(*) as conversations
    from tinychat.conversations c
    where c.tenant_id = t.id and c.created_at >= p.since and c.created_at < p.until
) c
where $3 is null or t.id = $3
order by t.created_at, t.id
