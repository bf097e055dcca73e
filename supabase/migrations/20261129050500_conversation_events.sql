-- The webhook event `conversation.updated`; and what webhooks show of messages and conversations is in functions of its own.

alter table tinychat.webhook_endpoints
    drop constraint webhook_endpoints_events_check,
    add constraint webhook_endpoints_events_check check (
        events <> '{}'
        and events <@ array['message.created', 'message.updated', 'message.deleted', 'conversation.updated']
    );

-- A message as the API shows it.
create function tinychat.message_json(m tinychat.messages) returns json
language sql stable
return json_build_object(
    'id', m.id,
    'conversation_id', m.conversation_id,
    'sender_id', m.sender_id,
    'body', case when m.deleted_at is null then m.body end,
    'message_type', m.message_type,
    'media_url', case when m.deleted_at is null then m.media_url end,
    'reply_to', m.reply_to,
    'created_at', tinychat.iso(m.created_at),
    'updated_at', tinychat.iso(tinychat.updated_at(m)),
    'edited_at', tinychat.iso(m.edited_at),
    'deleted_at', tinychat.iso(m.deleted_at),
    'receiver_id', m.receiver_id
);

-- A conversation as the API shows it.
create function tinychat.conversation_json(c tinychat.conversations, last_message text) returns json
language sql stable
return json_build_object(
    'id', c.id,
    'tenant_id', c.tenant_id,
    'kind', c.kind,
    'external_ref', c.external_ref,
    'participants', c.participants,
    'status', c.status,
    'last_message', last_message,
    'last_at', tinychat.iso(c.last_at),
    'updated_at', tinychat.iso(tinychat.updated_at(c))
);

-- Writes an event once for each endpoint that wants it, and returns the deliveries that the caller is to attempt: they are
-- leased to it. Endpoints that fail or are slow aren't among them. A second run of the caller's statement finds the first
-- one's rows and says again what it does.
create function tinychat.write_event(tenant_id uuid, event_id uuid, type text, payload text) returns json
language plpgsql
as $$
declare
    deliveries json;
begin
    with written as (
        insert into tinychat.webhook_deliveries as d (endpoint_id, event_id, type, payload, next_attempt_at)
        select w.id, write_event.event_id, write_event.type, write_event.payload,
            case
                when tinychat.webhook_is_prompt(w) then tinychat.now_ms() + interval '10 s'
                else greatest(tinychat.now_ms(), w.held_until)
            end
        from tinychat.webhook_endpoints w
        where w.tenant_id = write_event.tenant_id and w.disabled_at is null and write_event.type = any (w.events)
        on conflict on constraint webhook_deliveries_pkey
            do update set payload = excluded.payload, next_attempt_at = excluded.next_attempt_at
        returning d as delivery
    )
    select json_agg(tinychat.webhook_delivery(delivery, w))
    into deliveries
    from written
    join tinychat.webhook_endpoints w on w.id = (delivery).endpoint_id
    where tinychat.webhook_is_prompt(w);
    return deliveries;
end
$$;

-- As before.
create or replace function tinychat.record_event(
    tenant_id uuid, event_id uuid, type text, conversation_id uuid, message_id uuid
) returns json
language plpgsql volatile strict
as $$
declare
    payload text;
begin
    if not exists (
        select from tinychat.webhook_endpoints w
        where w.tenant_id = record_event.tenant_id and w.disabled_at is null and record_event.type = any (w.events)
    ) then
        return null;
    end if;
    select json_build_object(
        'type', record_event.type,
        'timestamp', tinychat.iso(coalesce(m.deleted_at, m.edited_at, m.created_at)),
        'data', json_build_object(
            'message', tinychat.message_json(m),
            'conversation', tinychat.conversation_json(c, p.last_message)
        )
    )
    into strict payload
    from tinychat.messages m
    join tinychat.conversations c on c.id = m.conversation_id
    left join lateral tinychat.preview(c.id) p on true
    where m.conversation_id = record_event.conversation_id and m.id = record_event.message_id;
    return tinychat.write_event(record_event.tenant_id, record_event.event_id, record_event.type, payload);
end
$$;

-- Does the same for a conversation that the calling statement has just changed.
create function tinychat.record_conversation_event(tenant_id uuid, event_id uuid, conversation_id uuid) returns json
language plpgsql strict
as $$
declare
    event constant text := 'conversation.updated';
    payload text;
begin
    if not exists (
        select from tinychat.webhook_endpoints w
        where w.tenant_id = record_conversation_event.tenant_id and w.disabled_at is null and event = any (w.events)
    ) then
        return null;
    end if;
    select json_build_object(
        'type', event,
        'timestamp', tinychat.iso(c.changed_at),
        'data', json_build_object('conversation', tinychat.conversation_json(c, p.last_message))
    )
    into strict payload
    from tinychat.conversations c
    left join lateral tinychat.preview(c.id) p on true
    where c.id = record_conversation_event.conversation_id;
    return tinychat.write_event(record_conversation_event.tenant_id, record_conversation_event.event_id, event, payload);
end
$$;

revoke all on all functions in schema tinychat from public;
