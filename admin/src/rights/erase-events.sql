-- $1 an endpoint  $2 the event that was checked last  $3 how many to check  $4 a user  $5 the opaque id
-- Removes the user from the endpoint's next events, delivered or not. An event of one of the user's messages becomes
-- that of a deleted message, and previews that may be the user's words are removed. An attempt that is being made doesn't
-- store the receiver's response, because its lease is moved. Returns the last event, null if there are none, and how
-- many changed.
with page as (
    select d.event_id, d.payload::jsonb as payload
    from tinychat.webhook_deliveries d
    where d.endpoint_id = $1 and d.event_id > $2
    order by d.event_id
    limit $3
),
parts as (
    select page.event_id, page.payload, data, message, conversation, (conversation ->> 'id')::uuid as conversation_id,
        coalesce(message ->> 'sender_id' in ($4, $5), false) as own
    from page
    cross join lateral (select payload -> 'data') as d (data)
    cross join lateral (select nullif(data -> 'message', 'null'), data -> 'conversation') as p (message, conversation)
),
-- Conversations in which the user, who is now the opaque id, takes part or has sent a message.
concerned as (
    select p.conversation_id
    from (select distinct parts.conversation_id from parts) p
    where exists (
            select from tinychat.participants o where o.conversation_id = p.conversation_id and o.user_id in ($4, $5)
        ) or exists (
            select from tinychat.messages m where m.conversation_id = p.conversation_id and m.sender_id in ($4, $5)
        )
),
scrubbed as (
    select parts.event_id, parts.payload,
        parts.payload || jsonb_build_object('data',
            data
            || case when message is null then '{}' else jsonb_build_object('message',
                case
                    when own then message - 'metadata' - 'client_message_id' || jsonb_build_object(
                        'sender_id', $5,
                        'body', null,
                        'media_url', null,
                        'deleted_at', coalesce(message ->> 'deleted_at', tinychat.iso(m.deleted_at), tinychat.iso(now()))
                    )
                    else message
                end
                || case when message ->> 'receiver_id' = $4 then jsonb_build_object('receiver_id', $5) else '{}' end
            ) end
            || jsonb_build_object('conversation',
                conversation
                || jsonb_build_object('participants', coalesce(
                    (
                        select jsonb_agg(case when id = $4 then $5 else id end order by n)
                        from jsonb_array_elements_text(conversation -> 'participants') with ordinality as a (id, n)
                    ),
                    conversation -> 'participants'
                ))
                -- With another user's message, the preview is kept only if it is that message's own text.
                || case
                    when not own and conversation ->> 'last_message' = left(message ->> 'body', 200) then '{}'
                    else jsonb_build_object('last_message', null)
                end
            )
        ) as clean
    from parts
    left join concerned on concerned.conversation_id = parts.conversation_id
    left join tinychat.messages m
        on own and m.conversation_id = parts.conversation_id and m.id = (message ->> 'id')::uuid
    -- A user who was removed from a conversation is still in its earlier events.
    where concerned.conversation_id is not null or conversation -> 'participants' ? $4 or message ->> 'receiver_id' = $4
),
changed as (
    update tinychat.webhook_deliveries d
    set payload = scrubbed.clean::text, last_answer = null, next_attempt_at = d.next_attempt_at + interval '1 microsecond'
    from scrubbed
    where d.endpoint_id = $1 and d.event_id = scrubbed.event_id and scrubbed.clean <> scrubbed.payload
    returning 1
)
select (select page.event_id from page order by page.event_id desc limit 1) as last, (select count(*) from changed) as changed
