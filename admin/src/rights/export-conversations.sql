-- $1 a tenant  $2 its conversations  $3 a user whose messages alone are exported, or null
-- Each conversation, followed by its messages in order, including deleted ones.
select l.line
from (
    select
        c.id, 0 as part, c.created_at as at,
        json_build_object(
            'type', 'conversation',
            'id', c.id,
            'kind', c.kind,
            'external_ref', c.external_ref,
            'participants', c.participants,
            'status', c.status,
            'read_at', (
                select json_object_agg(p.user_id, tinychat.iso(p.read_at) order by p.user_id)
                from tinychat.participants p
                where p.conversation_id = c.id and ($3 is null or p.user_id = $3)
            ),
            'created_at', tinychat.iso(c.created_at),
            'last_at', tinychat.iso(c.last_at),
            'updated_at', tinychat.iso(tinychat.updated_at(c))
        )::text as line
    from tinychat.conversations c
    where c.tenant_id = $1 and c.id = any ($2)
    union all
    select
        m.conversation_id, 1, m.created_at,
        json_build_object(
            'type', 'message',
            'id', m.id,
            'conversation_id', m.conversation_id,
            'sender_id', m.sender_id,
            'receiver_id', m.receiver_id,
            'body', m.body,
            'message_type', m.message_type,
            'media_url', m.media_url,
            'reply_to', m.reply_to,
            'client_message_id', m.client_message_id,
            'metadata', m.metadata,
            'created_at', tinychat.iso(m.created_at),
            'updated_at', tinychat.iso(tinychat.updated_at(m)),
            'edited_at', tinychat.iso(m.edited_at),
            'deleted_at', tinychat.iso(m.deleted_at)
        )::text
    from tinychat.conversations c
    join tinychat.messages m on m.conversation_id = c.id
    where c.tenant_id = $1 and c.id = any ($2) and ($3 is null or m.sender_id = $3)
) l
order by l.id, l.part, l.at
