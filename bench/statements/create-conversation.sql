-- $1 key hash  $2 id for a new row  $3 kind  $4 external_ref  $5 participants
-- Two concurrent callers may both find no row. The second insert then violates a unique key, and its caller runs the
-- statement again and finds the first row. Without an external_ref the row is always new, unless the first try of the
-- same request has inserted it. The planner knows the parameters and removes the condition that can't be true, so one
-- index look-up is left.
with tenant as (
    select * from tinychat.tenant($1)
),
existing as (
    select c.*
    from tenant
    join tinychat.conversations c
        on c.tenant_id = tenant.id
        and (($4 is null and c.id = $2) or (c.kind = $3 and c.external_ref = $4))
),
created as (
    insert into tinychat.conversations (id, tenant_id, kind, external_ref, participants)
    select $2, tenant.id, $3, $4, $5
    from tenant
    where tenant.id is not null and not exists (select from existing)
    returning *
),
joined as (
    insert into tinychat.participants (conversation_id, user_id, tenant_id, kind, active_at)
    select c.id, user_id, c.tenant_id, c.kind, c.created_at
    from created c
    cross join unnest(c.participants) as user_id
)
select
    tenant.verdict, c.id, tenant.id as tenant_id, c.kind, c.external_ref, c.participants, p.last_message, c.last_at
from tenant
left join (select * from existing union all select * from created) c on true
left join lateral tinychat.preview(c.id) p on true
