-- Replaces a message's text.
create function tinychat_api.edit_message(
    p_credential jsonb,
    p_conversation_id uuid,
    p_id uuid,
    p_sender_id text, -- null: the caller
    p_body text,
    p_event_id uuid,
    p_inbox boolean -- whether to return inbox channels
)
returns table (
    verdict text, tenant_id uuid, id uuid, conversation_id uuid, sender_id text, receiver_id text, body text,
    message_type text, media_url text, reply_to uuid, created_at timestamptz, updated_at timestamptz,
    edited_at timestamptz, deleted_at timestamptz, client_message_id text, metadata jsonb, tokens text, inboxes uuid[],
    deliveries json
)
language plpgsql
as $$
declare
    access record;
    clock timestamptz;
    message tinychat.messages;
begin
    access := tinychat.check_access(p_credential, p_conversation_id);
    tenant_id := access.tenant_id;
    verdict := access.verdict;
    if verdict = 'ok' then
        select * into message
        from tinychat.messages m
        where m.conversation_id = p_conversation_id and m.id = p_id and m.deleted_at is null;
        verdict := case
            when not found then 'message_not_found'
            when p_sender_id <> access.caller then 'sender_not_caller'
            when message.sender_id <> coalesce(p_sender_id, access.caller) then 'not_the_sender'
            when message.message_type = 'system' and not access.server then 'secret_key_required'
            else 'ok'
        end;
    end if;
    if verdict = 'ok' then
        -- Only the locked row says for certain whether the conversation is open and the caller still takes part.
        select
            case
                when not (access.caller is null or access.staff or access.caller = any (c.participants))
                    then 'conversation_not_found'
                when c.status = 'closed' and not access.server then 'conversation_closed'
                else 'ok'
            end
        into verdict
        from tinychat.conversations c
        where c.id = p_conversation_id
        for no key update;
    end if;
    if verdict = 'ok' then
        clock := tinychat.tick(p_conversation_id);
        update tinychat.messages m
        set body = p_body, edited_at = clock, changed_at = clock
        where m.conversation_id = p_conversation_id and m.id = p_id and m.deleted_at is null
        returning * into message;
        if not found then
            verdict := 'message_not_found'; -- deleted while this edit waited for the lock
        end if;
    end if;
    if verdict <> 'ok' then
        return next;
        return;
    end if;

    return query select
        verdict, tenant_id, message.id, message.conversation_id, message.sender_id, message.receiver_id, message.body,
        message.message_type, message.media_url, message.reply_to, message.created_at,
        tinychat.updated_at(message), message.edited_at, message.deleted_at, message.client_message_id,
        message.metadata, access.tokens,
        case when p_inbox then tinychat.inboxes(p_conversation_id) end,
        tinychat.record_event(tenant_id, p_event_id, 'message.updated', message.conversation_id, message.id);
end
$$;
