-- Creates a conversation, or finds the one with this external_ref. Without an external_ref it always creates one,
-- unless the first try of this request has already done so. If two callers create the same external_ref at once, the
-- second waits in the insert until the first has committed. The statement after the insert then sees the first one's
-- row.
--
-- With a user token, it creates no conversation without the caller, and finds none that the caller doesn't take part
-- in, unless the caller is staff.
create function tinychat_api.create_conversation(
    p_credential jsonb,
    p_id uuid, -- for a new row
    p_kind text,
    p_external_ref text,
    p_participants text[],
    p_inbox boolean -- whether to return inbox channels
)
returns table (
    verdict text, id uuid, tenant_id uuid, kind text, external_ref text, participants text[], status text, last_message text,
    last_at timestamptz, updated_at timestamptz, tokens text, inboxes uuid[] -- null if the conversation existed before
)
language plpgsql
as $$
declare
    access record;
    conversation uuid := p_id;
    may_create boolean;
begin
    access := tinychat.check_access(p_credential);
    if access.verdict <> 'ok' then
        verdict := access.verdict;
        return next;
        return;
    end if;

    may_create := access.caller is null or access.caller = any (p_participants);
    if may_create then
        insert into tinychat.conversations as c (id, tenant_id, kind, external_ref, participants)
        values (p_id, access.tenant_id, p_kind, p_external_ref, p_participants)
        on conflict do nothing;
    end if;
    if may_create and found then
        insert into tinychat.participants (conversation_id, user_id, tenant_id, kind, active_at)
        select c.id, u.user_id, c.tenant_id, c.kind, c.created_at
        from tinychat.conversations c
        cross join unnest(c.participants) as u (user_id)
        where c.id = p_id;
    elsif p_external_ref is not null then
        select c.id into conversation
        from tinychat.conversations c
        where c.tenant_id = access.tenant_id and c.kind = p_kind and c.external_ref = p_external_ref;
    elsif not may_create then
        conversation := null;
    end if;

    verdict := case
        when conversation is null then 'caller_not_participant'
        when access.caller is null or access.staff then 'ok'
        when exists (
            select from tinychat.participants p where p.conversation_id = conversation and p.user_id = access.caller
        ) then 'ok'
        else 'conversation_not_found'
    end;
    if verdict <> 'ok' then
        return next;
        return;
    end if;

    return query
        select
            verdict, c.id, c.tenant_id, c.kind, c.external_ref, c.participants, c.status, latest.last_message, c.last_at,
            tinychat.updated_at(c), access.tokens,
            case when p_inbox and conversation = p_id then tinychat.inboxes(c.id) end
        from tinychat.conversations c
        left join lateral tinychat.preview(c.id) latest on true
        where c.id = conversation and c.tenant_id = access.tenant_id;
end
$$;
