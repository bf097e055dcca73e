-- Changes a conversation's participants and status. Repeating the request changes nothing. It is broadcast again only if the
-- last change may not have been.
create function tinychat_api.update_conversation(
    p_credential jsonb,
    p_conversation_id uuid,
    p_add_participants text[], -- null: nobody
    p_remove_participants text[],
    p_status text, -- null: unchanged
    p_event_id uuid, -- also identifies this request's own change
    p_inbox boolean -- whether to return inbox channels
)
returns table (
    verdict text, tenant_id uuid, id uuid, kind text, external_ref text, participants text[], status text,
    last_message text, last_at timestamptz, updated_at timestamptz, untold boolean, tokens text, inboxes uuid[],
    deliveries json
)
language plpgsql
as $$
declare
    access record;
    conversation tinychat.conversations;
    members text[];
    removed text[];
    changed_now boolean;
begin
    access := tinychat.check_access(p_credential, p_conversation_id);
    tenant_id := access.tenant_id;
    verdict := case
        when access.verdict = 'ok' and not (access.server or access.staff) then 'secret_key_required'
        else access.verdict
    end;
    if verdict = 'ok' then
        -- The conversation is locked first, then its participants, as everywhere.
        select * into conversation
        from tinychat.conversations c
        where c.id = p_conversation_id
        for no key update;

        -- Participants who stay, in their order, then the new ones. A user in both lists takes part.
        members := array(
            select m.user_id
            from unnest(conversation.participants) with ordinality as m (user_id, n)
            where m.user_id <> all (coalesce(p_remove_participants, '{}')) or m.user_id = any (p_add_participants)
            order by m.n
        );
        members := members || array(
            select a.user_id
            from unnest(p_add_participants) with ordinality as a (user_id, n)
            where a.user_id <> all (members)
            order by a.n
        );
        verdict := case
            when cardinality(members) = 0 then 'participants_required'
            when cardinality(members) > 100 then 'too_many_participants'
            else 'ok'
        end;
    end if;
    if verdict <> 'ok' then
        return next;
        return;
    end if;

    if members <> conversation.participants or p_status <> conversation.status then
        removed := array(select unnest(conversation.participants) except select unnest(members));
        update tinychat.conversations c
        set participants = members, status = coalesce(p_status, c.status), update_id = p_event_id,
            backend = pg_backend_pid(),
            changed_at = greatest(tinychat.now_ms(), tinychat.updated_at(c) + interval '1 ms')
        where c.id = p_conversation_id
        returning * into conversation;

        delete from tinychat.participants p
        where p.conversation_id = p_conversation_id and p.user_id <> all (members);
        update tinychat.participants p
        set kind = tinychat.list_of(conversation.kind, conversation.status)
        where p.conversation_id = p_conversation_id
            and p.kind <> tinychat.list_of(conversation.kind, conversation.status);
        -- A new participant has read all earlier messages.
        insert into tinychat.participants (conversation_id, user_id, tenant_id, kind, active_at, read_at)
        select conversation.id, m.user_id, conversation.tenant_id, tinychat.list_of(conversation.kind, conversation.status),
            coalesce(conversation.last_at, conversation.created_at), conversation.changed_at
        from unnest(members) as m (user_id)
        on conflict do nothing;
    else
        removed := array(select unnest(p_remove_participants) except select unnest(members));
    end if;
    changed_now := coalesce(conversation.update_id = p_event_id, false);
    untold := changed_now or tinychat.untold(conversation.backend, tinychat.time_of(conversation.update_id));
    if untold and conversation.backend <> pg_backend_pid() then
        update tinychat.conversations c set backend = pg_backend_pid() where c.id = p_conversation_id;
    end if;

    return query
        select
            verdict, c.tenant_id, c.id, c.kind, c.external_ref, c.participants, c.status, latest.last_message, c.last_at,
            tinychat.updated_at(c), untold, access.tokens,
            -- Removed participants get the event, too.
            case when p_inbox and untold then tinychat.inboxes(c.id, removed) end,
            case when changed_now then tinychat.record_conversation_event(c.tenant_id, p_event_id, c.id) end
        from tinychat.conversations c
        left join lateral tinychat.preview(c.id) latest on true
        where c.id = p_conversation_id;
end
$$;
