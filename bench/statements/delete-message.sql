-- $1 key hash  $2 conversation  $3 message  $4 sender_id  $5 deletion_id, which marks the deletion as this request's
-- $6 id for the event
with found as (
    select * from tinychat.conversation($1, $2)
),
-- Locked, so that of two concurrent deletions the second sees the result of the first.
message as (
    select m.*
    from found
    join tinychat.messages m on m.conversation_id = found.id and m.id = $3
    for update of m
),
deleted as (
    update tinychat.messages m
    set deleted_at = tinychat.now_ms(), deletion_id = $5
    from message
    where m.conversation_id = message.conversation_id and m.id = message.id
        and message.sender_id = $4 and message.deleted_at is null
    returning m.deleted_at, m.deletion_id
)
select
    case
        when found.verdict <> 'ok' then found.verdict
        when message.id is null then 'message_not_found'
        when message.sender_id <> $4 then 'not_the_sender'
        else 'ok'
    end as verdict,
    found.tenant_id, message.id, message.conversation_id, message.sender_id, message.receiver_id, message.body,
    message.message_type, message.media_url, message.reply_to, message.created_at, message.edited_at,
    coalesce(deleted.deleted_at, message.deleted_at) as deleted_at,
    mine.deleted_now,
    tinychat.record_event(
        found.tenant_id, case when mine.deleted_now then $6 end, 'message.deleted', message.conversation_id, message.id
    ) as deliveries
from found
left join message on true
left join deleted on true
cross join lateral (select coalesce(deleted.deletion_id, message.deletion_id) is not distinct from $5) mine (deleted_now)
