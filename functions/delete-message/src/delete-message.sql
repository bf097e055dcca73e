-- Marks a message as deleted.
create function tinychat_api.delete_message(
    p_credential jsonb,
    p_conversation_id uuid,
    p_id uuid,
    p_sender_id text, -- null: the caller; ignored with a secret key, which may delete any message
    p_deletion_id uuid, -- identifies this request's own change
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
    clock timestamptz;
    message tinychat.messages;
    deleted_now boolean;
begin
    access := tinychat.check_access(p_credential, p_conversation_id);
    tenant_id := access.tenant_id;
    verdict := access.verdict;
    if verdict = 'ok' then
        select * into message
        from tinychat.messages m
        where m.conversation_id = p_conversation_id and m.id = p_id;
        verdict := case
            when not found then 'message_not_found'
            when access.server then 'ok'
            when p_sender_id <> access.caller then 'sender_not_caller'
            when message.sender_id <> coalesce(p_sender_id, access.caller) then 'not_the_sender'
            when message.message_type = 'system' then 'secret_key_required'
            else 'ok'
        end;
    end if;
    if verdict <> 'ok' then
        return next;
        return;
    end if;

    if message.deleted_at is null then
        clock := tinychat.tick(p_conversation_id);
        update tinychat.messages m
        set deleted_at = clock, deletion_id = p_deletion_id, changed_at = clock, backend = pg_backend_pid()
        where m.conversation_id = p_conversation_id and m.id = p_id and m.deleted_at is null;
        -- If two requests delete at once, the second sees the first one's result.
        select * into message
        from tinychat.messages m
        where m.conversation_id = p_conversation_id and m.id = p_id;
    end if;
    deleted_now := message.deletion_id is not distinct from p_deletion_id;
    untold := deleted_now or tinychat.untold(message.backend, message.deleted_at);
    if untold and message.backend <> pg_backend_pid() then
        update tinychat.messages m set backend = pg_backend_pid()
        where m.conversation_id = p_conversation_id and m.id = p_id;
    end if;

    return query select
        verdict, tenant_id, message.id, message.conversation_id, message.sender_id, message.receiver_id, message.body,
        message.message_type, message.media_url, message.reply_to, message.created_at,
        tinychat.updated_at(message), message.edited_at, message.deleted_at, message.client_message_id,
        message.metadata, untold, access.tokens,
        case when p_inbox and untold then tinychat.inboxes(p_conversation_id) end,
        case when deleted_now then
            tinychat.record_event(tenant_id, p_event_id, 'message.deleted', message.conversation_id, message.id)
        end;
end
$$;
