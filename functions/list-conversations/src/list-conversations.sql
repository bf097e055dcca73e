-- A page of a user's conversations, the latest activity first, and one more if there are more; without conversations, the
-- verdict alone. The list is merged from one short index scan for each kind and status, so its cost doesn't grow with the
-- number of conversations.
create function tinychat_api.list_conversations(
    p_credential jsonb,
    p_user_id text, -- null: the caller
    p_kinds text[],
    p_status text, -- null: both
    p_external_ref text, -- null: any or none
    p_unread boolean, -- whether to look only for conversations that may have unread messages
    p_before timestamptz, -- the cursor: activity and id of the previous page's last conversation
    p_before_id uuid,
    p_limit bigint
)
returns table (
    verdict text, id uuid, tenant_id uuid, kind text, external_ref text, participants text[], status text, last_message text,
    last_at timestamptz, updated_at timestamptz, unread_count bigint, active_at timestamptz
)
language plpgsql stable
as $$
declare
    access record;
    lister text;
    -- The values of participants.kind to look for.
    lists text[] := array(
        select tinychat.list_of(wanted.kind, s.status)
        from unnest(p_kinds) as wanted (kind)
        cross join (values ('open'), ('closed')) as s (status)
        where s.status = coalesce(p_status, s.status)
    );
    before timestamptz := coalesce(p_before, 'infinity');
begin
    access := tinychat.check_access(p_credential);
    tenant_id := access.tenant_id;
    lister := coalesce(p_user_id, access.caller);
    verdict := case
        when access.verdict = 'ok' and lister <> access.caller then 'user_not_caller'
        else access.verdict
    end;
    if verdict <> 'ok' then
        return next;
        return;
    end if;

    return query
        select
            verdict, c.id, c.tenant_id, c.kind, c.external_ref, c.participants, c.status, latest.last_message, c.last_at,
            tinychat.updated_at(c),
            case
                when page.active_at <= page.read_at then 0
                else (select u.unread_count from tinychat.unread(c.id, lister, page.read_at) u)
            end,
            page.active_at
        from (
            select p.*
            from (
                -- Only one of these three runs. A cached plan uses the index of unread ones only for its very condition.
                select p.conversation_id, p.active_at, p.read_at
                from tinychat.conversations c
                join tinychat.participants p on p.conversation_id = c.id and p.user_id = lister
                where p_external_ref is not null
                    and c.tenant_id = access.tenant_id and c.kind = any (p_kinds) and c.external_ref = p_external_ref
                    and p.kind = any (lists)
                    and p.active_at <= before and (p.active_at < before or p.conversation_id > p_before_id)
                union all
                select p.*
                from unnest(lists) as wanted (kind)
                cross join lateral (
                    select p.conversation_id, p.active_at, p.read_at
                    from tinychat.participants p
                    where p.tenant_id = access.tenant_id and p.user_id = lister and p.kind = wanted.kind
                        and p.active_at > p.read_at
                        and p.active_at <= before and (p.active_at < before or p.conversation_id > p_before_id)
                    order by p.active_at desc, p.conversation_id
                    limit p_limit + 1
                ) p
                where p_external_ref is null and p_unread
                union all
                select p.*
                from unnest(lists) as wanted (kind)
                cross join lateral (
                    select p.conversation_id, p.active_at, p.read_at
                    from tinychat.participants p
                    where p.tenant_id = access.tenant_id and p.user_id = lister and p.kind = wanted.kind
                        and p.active_at <= before and (p.active_at < before or p.conversation_id > p_before_id)
                    order by p.active_at desc, p.conversation_id
                    limit p_limit + 1
                ) p
                where p_external_ref is null and not p_unread
            ) p
            order by p.active_at desc, p.conversation_id
            limit p_limit + 1
        ) page
        join tinychat.conversations c on c.id = page.conversation_id
        left join lateral tinychat.preview(c.id) latest on true
        order by page.active_at desc, page.conversation_id;
    if not found then
        return next;
    end if;
end
$$;
