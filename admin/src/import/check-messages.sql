-- $1 a tenant  $2 messages of stored conversations. Returns the faults of messages that aren't stored yet.
with given as (
    select * from json_to_recordset($2) as g (
        line bigint, conversation_id uuid, id uuid, sender_id text, reply_to uuid, client_message_id text, created_at timestamptz
    )
),
missing as (
    select g.*
    from given g
    where not exists (
        select from tinychat.messages m where m.conversation_id = g.conversation_id and m.id = g.id
    )
)
select f.*
from (
    select g.line,
        case
            -- A conversation that existed before this transaction must not get messages from the past, because clients
            -- that follow it by `since` would never get them.
            when c.xmin <> pg_current_xact_id()::xid and g.created_at <= tinychat.updated_at(c)
                then 'the conversation already exists and has changed after this message''s created_at'
            when g.reply_to is not null and not exists (
                    select from tinychat.messages m where m.conversation_id = g.conversation_id and m.id = g.reply_to
                ) and not exists (
                    select from given o where o.conversation_id = g.conversation_id and o.id = g.reply_to
                )
                then 'reply_to is not an earlier message of the conversation'
            when g.client_message_id is not null and exists (
                    select
                    from tinychat.messages m
                    where m.conversation_id = g.conversation_id and m.sender_id = g.sender_id
                        and m.client_message_id = g.client_message_id
                )
                then 'client_message_id is also that of another message of this sender'
        end as fault
    from missing g
    join tinychat.conversations c on c.id = g.conversation_id and c.tenant_id = $1
) f
where f.fault is not null
order by f.line
limit 100
