-- $1 key hash  $2 conversation  $3 message  $4 sender_id  $5 body  $6 id for the event
with found as (
    select * from tinychat.conversation($1, $2)
),
-- Locked, so that the message can't change between the verdict and the update.
message as (
    select m.*
    from found
    join tinychat.messages m on m.conversation_id = found.id and m.id = $3
    where m.deleted_at is null
    for update of m
),
edited as (
    update tinychat.messages m
    set body = $5, edited_at = tinychat.now_ms()
    from message
    where m.conversation_id = message.conversation_id and m.id = message.id and message.sender_id = $4
    returning m.*
)
select
    case
        when found.verdict <> 'ok' then found.verdict
        when message.id is null then 'message_not_found'
        when edited.id is null then 'not_the_sender'
        else 'ok'
    end as verdict,
    found.tenant_id, edited.*,
    tinychat.record_event(
        found.tenant_id, $6, 'message.updated', edited.conversation_id, edited.id
    ) as deliveries
from found
left join message on true
left join edited on true
