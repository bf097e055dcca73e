-- $1 key hash  $2 user_id  $3 kinds
-- Merges one short index scan per kind, so the cost doesn't grow with the number of conversations.
with tenant as (
    select * from tinychat.tenant($1)
),
newest as (
    select p.conversation_id, p.active_at, p.read_at
    from tenant
    cross join unnest($3) as wanted (kind)
    cross join lateral (
        select p.conversation_id, p.active_at, p.read_at
        from tinychat.participants p
        where p.tenant_id = tenant.id and p.user_id = $2 and p.kind = wanted.kind
        order by p.active_at desc, p.conversation_id
        limit 100
    ) p
    order by p.active_at desc, p.conversation_id
    limit 100
)
select
    tenant.verdict, c.id, tenant.id as tenant_id, c.kind, c.external_ref, c.participants, p.last_message, c.last_at,
    tinychat.updated_at(c), unread.unread_count
from tenant
left join newest on true
left join tinychat.conversations c on c.id = newest.conversation_id and c.tenant_id = tenant.id
left join lateral tinychat.preview(c.id) p on true
left join lateral tinychat.unread(c.id, $2, newest.read_at) unread on true
order by newest.active_at desc, newest.conversation_id
