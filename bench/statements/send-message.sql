-- $1 key hash  $2 conversation  $3 id for a new row  $4 sender_id  $5 receiver_id  $6 body  $7 message_type
-- $8 media_url  $9 reply_to  $10 client_message_id  $11 id for the event
with found as (
    select * from tinychat.conversation($1, $2)
),
-- The same message, stored by an earlier request or by the first try of this one. The planner knows the parameters and
-- removes the condition that can't be true, so one index look-up is left.
earlier as (
    select m.*
    from found
    join tinychat.messages m
        on m.conversation_id = found.id and m.conversation_id = $2
        and (($10 is null and m.id = $3) or (m.sender_id = $4 and m.client_message_id = $10))
),
-- The row's lock makes senders wait for each other. The clock in the row makes times unique and increasing in the order
-- of the commits.
ticked as (
    update tinychat.conversations c
    set last_at = greatest(tinychat.now_ms(), c.last_at + interval '1 ms')
    from found
    where c.id = found.id
        and not exists (select from earlier)
        and ($9 is null or exists (select from tinychat.messages m where m.conversation_id = found.id and m.id = $9))
    returning c.id, c.last_at
),
sent as (
    insert into tinychat.messages
        (conversation_id, id, sender_id, receiver_id, body, message_type, media_url, reply_to, client_message_id,
        created_at)
    select id, $3, $4, $5, $6, $7, $8, $9, $10, last_at
    from ticked
    returning *
),
active as (
    update tinychat.participants p
    set active_at = ticked.last_at
    from ticked
    where p.conversation_id = ticked.id
)
-- If the conversation was found and no message was stored, the only remaining reason is an unknown reply_to.
select
    case when found.verdict = 'ok' and m.id is null then 'reply_not_found' else found.verdict end as verdict,
    found.tenant_id, m.*,
    -- An id other than $3 is that of an earlier message, whose event has been written already.
    tinychat.record_event(
        found.tenant_id, case when m.id = $3 then $11 end, 'message.created', m.conversation_id, m.id
    ) as deliveries
from found
left join (select * from sent union all select * from earlier) m on true
