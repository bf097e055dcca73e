-- $1 key hash  $2 conversation  $3 user_id  $4 message
with found as (
    select * from tinychat.conversation($1, $2)
),
moved as (
    update tinychat.participants p
    set read_at = m.created_at
    from found
    join tinychat.messages m on m.conversation_id = found.id and m.id = $4
    where p.conversation_id = found.id and p.user_id = $3 and p.read_at < m.created_at
    returning p.*
)
select found.verdict, found.tenant_id, moved.conversation_id, moved.user_id, moved.read_at, unread.unread_count
from found
left join moved on true
left join lateral tinychat.unread(moved.conversation_id, moved.user_id, moved.read_at) unread on true
