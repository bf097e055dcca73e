-- The recipients of a new message: the conversation's participants without the sender.
-- $1 tenant  $2 conversation  $3 sender  $4 the maximum size of the recipients in bytes
with recipients as (
    select named.position,
        json_build_object(
            'user_id', p.user_id,
            'fcm_tokens', coalesce(u.fcm_tokens, '{}'),
            'notification_prefs', coalesce(u.notification_prefs, '{}'),
            'unread_count', unread.unread_count
        )::text as recipient
    from tinychat.conversations c
    cross join unnest(c.participants) with ordinality as named (user_id, position)
    join tinychat.participants p on p.conversation_id = c.id and p.user_id = named.user_id
    left join tinychat.users u on u.tenant_id = c.tenant_id and u.user_id = p.user_id
    cross join lateral tinychat.unread(c.id, p.user_id, p.read_at) unread
    where c.tenant_id = $1 and c.id = $2 and p.user_id <> $3
),
-- The smallest first, so that users with much data are left out before others.
sizes as (
    select *, sum(octet_length(recipient)) over (order by octet_length(recipient), position) as bytes
    from recipients
)
select
    '[' || coalesce(string_agg(recipient, ', ' order by position) filter (where bytes <= $4), '') || ']' as recipients,
    count(*) filter (where bytes > $4) as left_out
from sizes
