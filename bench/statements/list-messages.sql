-- $1 key hash  $2 conversation  $3 before  $4 limit
select c.verdict, c.tenant_id, m.*
from tinychat.conversation($1, $2) c
left join lateral (
    select m.*
    from tinychat.messages m
    where m.conversation_id = c.id and m.deleted_at is null and m.created_at < coalesce($3, 'infinity')
    order by m.created_at desc
    limit $4
) m on true
order by m.created_at
