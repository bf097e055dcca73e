-- $1 a conversation, which is locked  $2 a user  $3 the opaque id  $4 messages of the user  $5 whether these are the
-- last
-- Erases the messages. Each gets its own time on the conversation's clock, so that clients learn of it by `since`. Also
-- replaces the user with the opaque id in the conversation.
with clock as (
    select greatest(tinychat.now_ms(), tinychat.updated_at(c) + interval '1 ms') as at, $3 = any (c.participants) as known
    from tinychat.conversations c
    where c.id = $1
),
erased as (
    update tinychat.messages m
    set sender_id = $3, receiver_id = case when m.receiver_id = $2 then $3 else m.receiver_id end,
        body = null, media_url = null, metadata = null, client_message_id = null,
        deleted_at = coalesce(m.deleted_at, own.at), changed_at = own.at
    from (
        select m.id, clock.at + (row_number() over (order by m.created_at) - 1) * interval '1 ms' as at
        from tinychat.messages m
        cross join clock
        where m.conversation_id = $1 and m.sender_id = $2 and m.id = any ($4)
    ) own
    where m.conversation_id = $1 and m.id = own.id
    returning own.at
),
renamed as (
    update tinychat.participants p
    set user_id = $3
    from clock
    where p.conversation_id = $1 and p.user_id = $2 and not clock.known
),
left_over as (
    delete from tinychat.participants p
    using clock
    where p.conversation_id = $1 and p.user_id = $2 and clock.known
),
readdressed as (
    update tinychat.messages m
    set receiver_id = $3
    where $5 and m.conversation_id = $1 and m.receiver_id = $2 and m.sender_id <> $2
)
update tinychat.conversations c
set changed_at = coalesce((select max(erased.at) from erased), clock.at),
    participants = case
        when clock.known then array_remove(c.participants, $2)
        else array_replace(c.participants, $2, $3)
    end
from clock
where c.id = $1
