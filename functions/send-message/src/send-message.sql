-- Stores a message, or finds the stored one if it was sent before.
create function tinychat_api.send_message(
    p_credential jsonb,
    p_conversation_id uuid,
    p_id uuid, -- of the new message
    p_sender_id text, -- null: the caller
    p_receiver_id text,
    p_body text,
    p_message_type text,
    p_media_url text,
    p_reply_to uuid,
    p_client_message_id text,
    p_metadata jsonb,
    p_event_id uuid,
    p_inbox boolean -- whether to return inbox channels
)
returns table (
    verdict text, tenant_id uuid, id uuid, conversation_id uuid, sender_id text, receiver_id text, body text,
    message_type text, media_url text, reply_to uuid, created_at timestamptz, updated_at timestamptz,
    edited_at timestamptz, deleted_at timestamptz, client_message_id text, metadata jsonb, untold boolean,
    tokens text, inboxes uuid[], deliveries json
)
language plpgsql
as $$
declare
    access record;
    sender text;
    clock timestamptz;
    refusal text;
    guarded boolean;
    message tinychat.messages;
begin
    access := tinychat.check_access(p_credential, p_conversation_id);
    tenant_id := access.tenant_id;
    sender := coalesce(p_sender_id, access.caller);
    verdict := case
        when access.verdict <> 'ok' then access.verdict
        when sender <> access.caller then 'sender_not_caller'
        when p_message_type = 'system' and not access.server then 'secret_key_required'
        else 'ok'
    end;
    if verdict <> 'ok' then
        return next;
        return;
    end if;

    -- Senders take turns here, as edits and deletions do: the lock on the conversation's row and its clock make times
    -- unique and ordered by commit. The statements after this one see every message that was sent before. A user who
    -- was removed meanwhile, and a conversation that was closed meanwhile, are detected here.
    select
        tinychat.updated_at(c),
        case
            when not (access.caller is null or access.staff or access.caller = any (c.participants))
                then 'conversation_not_found'
            when c.status = 'closed' and not access.server then 'conversation_closed'
        end,
        not access.server and (select t.guard from tinychat.tenants t where t.id = c.tenant_id)
    into clock, refusal, guarded
    from tinychat.conversations c
    where c.id = p_conversation_id
    for no key update;

    -- The same message may have been stored before: by an earlier request, or by the first try of this one.
    if p_client_message_id is null then
        select * into message
        from tinychat.messages m
        where m.conversation_id = p_conversation_id and m.id = p_id;
    else
        select * into message
        from tinychat.messages m
        where m.conversation_id = p_conversation_id
            and m.sender_id = sender
            and m.client_message_id = p_client_message_id;
    end if;

    untold := not found or message.id = p_id or tinychat.untold(message.backend, message.created_at);
    if message.id is null then
        if refusal is null and p_reply_to is not null and not exists (
            select from tinychat.messages m where m.conversation_id = p_conversation_id and m.id = p_reply_to
        ) then
            refusal := 'reply_not_found';
        end if;
        if refusal is null and guarded then
            refusal := 'too_many_messages ' || tinychat.guard_wait(p_conversation_id, sender, tinychat.now_ms());
        end if;
        if refusal is not null then
            verdict := refusal;
            return next;
            return;
        end if;
        insert into tinychat.messages as m
            (conversation_id, id, sender_id, receiver_id, body, message_type, media_url, reply_to, client_message_id,
            metadata, backend, created_at)
        values (
            p_conversation_id, p_id, sender, p_receiver_id, p_body, p_message_type, p_media_url, p_reply_to,
            p_client_message_id, p_metadata, pg_backend_pid(), greatest(tinychat.now_ms(), clock + interval '1 ms')
        )
        returning * into message;
        update tinychat.conversations c set last_at = message.created_at where c.id = p_conversation_id;
        -- The sender has read all earlier messages.
        update tinychat.participants p
        set active_at = message.created_at, read_at = case when p.user_id = sender then message.created_at else p.read_at end
        where p.conversation_id = p_conversation_id;
    elsif untold then
        update tinychat.messages m set backend = pg_backend_pid()
        where m.conversation_id = p_conversation_id and m.id = message.id;
    end if;

    return query select
        verdict, tenant_id, message.id, message.conversation_id, message.sender_id, message.receiver_id, message.body,
        message.message_type, message.media_url, message.reply_to, message.created_at,
        tinychat.updated_at(message), message.edited_at, message.deleted_at, message.client_message_id,
        message.metadata, untold, access.tokens,
        case when p_inbox and untold then tinychat.inboxes(p_conversation_id) end,
        -- Another id means an earlier message, whose event was written then.
        case when message.id = p_id then
            tinychat.record_event(tenant_id, p_event_id, 'message.created', message.conversation_id, message.id)
        end;
end
$$;
