-- Moves a participant's read cursor forward, to a message or to the end. It never moves back.
create function tinychat_api.mark_read(
    p_credential jsonb,
    p_conversation_id uuid,
    p_user_id text, -- null: the caller
    p_message_id uuid, -- null: everything
    p_inbox boolean -- whether to return inbox channels
)
returns table (
    verdict text, tenant_id uuid, conversation_id uuid, user_id text, read_at timestamptz, unread_count bigint, moved boolean,
    tokens text, inboxes uuid[]
)
language plpgsql
as $$
declare
    access record;
    reader text;
    target timestamptz;
begin
    access := tinychat.check_access(p_credential, p_conversation_id);
    tenant_id := access.tenant_id;
    reader := coalesce(p_user_id, access.caller);
    verdict := access.verdict;
    if verdict = 'ok' then
        if p_message_id is null then
            -- Times are committed in order, so every later message has a later time.
            select c.last_at into target
            from tinychat.conversations c
            where c.id = p_conversation_id;
        else
            select m.created_at into target
            from tinychat.messages m
            where m.conversation_id = p_conversation_id and m.id = p_message_id;
        end if;
        verdict := case
            when not found then 'read_message_not_found'
            when reader <> access.caller then 'user_not_caller'
            when not exists (
                select from tinychat.participants p where p.conversation_id = p_conversation_id and p.user_id = reader
            ) then 'not_a_participant'
            else 'ok'
        end;
    end if;
    if verdict <> 'ok' then
        return next;
        return;
    end if;

    update tinychat.participants p
    set read_at = target
    where p.conversation_id = p_conversation_id and p.user_id = reader and p.read_at < target;
    moved := found;

    return query
        select verdict, p.tenant_id, p.conversation_id, p.user_id, p.read_at, u.unread_count, moved,
            access.tokens, case when p_inbox and moved then tinychat.inboxes(p_conversation_id) end
        from tinychat.participants p
        cross join lateral tinychat.unread(p.conversation_id, p.user_id, p.read_at) u
        where p.conversation_id = p_conversation_id and p.user_id = reader;
    if not found then
        verdict := 'not_a_participant'; -- removed in the meantime
        return next;
    end if;
end
$$;
