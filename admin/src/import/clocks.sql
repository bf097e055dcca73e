-- $1 a tenant  $2 conversations to which messages may have been added. Those that existed before get their times.
with moved as (
    update tinychat.conversations c
    set last_at = g.last_at, changed_at = greatest(c.changed_at, g.changed_at)
    from json_to_recordset($2) as g (id uuid, last_at timestamptz, changed_at timestamptz)
    where c.id = g.id and c.tenant_id = $1 and g.last_at > coalesce(c.last_at, '-infinity')
    returning c.id, c.last_at
)
update tinychat.participants p
set active_at = moved.last_at
from moved
where p.conversation_id = moved.id
