-- $1 key hash  $2 conversation
select
    found.verdict, found.tenant_id, c.id, c.kind, c.external_ref, c.participants, latest.last_message, c.last_at,
    tinychat.updated_at(c), member.user_id, u.name, u.role, member.read_at
from tinychat.conversation($1, $2) found
left join tinychat.conversations c on c.id = found.id
left join lateral tinychat.preview(c.id) latest on true
left join tinychat.participants member on member.conversation_id = c.id
left join tinychat.users u on u.tenant_id = c.tenant_id and u.user_id = member.user_id
