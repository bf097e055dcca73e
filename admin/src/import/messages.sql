-- $1 a tenant  $2 messages
insert into tinychat.messages
    (conversation_id, id, sender_id, receiver_id, body, message_type, media_url, reply_to, client_message_id, metadata,
    created_at, edited_at, deleted_at, changed_at)
select g.conversation_id, g.id, g.sender_id, g.receiver_id, g.body, g.message_type, g.media_url, g.reply_to,
    g.client_message_id, g.metadata, g.created_at, g.edited_at, g.deleted_at, g.changed_at
from json_to_recordset($2) as g (
    conversation_id uuid, id uuid, sender_id text, receiver_id text, body text, message_type text, media_url text,
    reply_to uuid, client_message_id text, metadata jsonb, created_at timestamptz, edited_at timestamptz, deleted_at timestamptz,
    changed_at timestamptz
)
join tinychat.conversations c on c.id = g.conversation_id and c.tenant_id = $1
on conflict (conversation_id, id) do nothing
