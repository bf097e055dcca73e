-- The newest of a user's conversations, or the verdict alone. One short index scan for each kind, merged: the cost
-- doesn't grow with the number of conversations.
create function tinychat_api.list_conversations(
    p_credential jsonb,
    p_user_id text, -- null: the caller
    p_kinds text[]
)
returns table (
    verdict text, id uuid, tenant_id uuid, kind text, external_ref text, participants text[], last_message text,
    last_at timestamptz, updated_at timestamptz
)
language plpgsql stable
as $$
declare
    tenant record;
begin
    select * into tenant from tinychat.tenant(p_credential);
    verdict := case
        when tenant.verdict = 'ok' and p_user_id <> tenant.caller then 'user_not_caller'
        else tenant.verdict
    end;
    if verdict = 'ok' then
        return query
            select
                verdict, c.id, c.tenant_id, c.kind, c.external_ref, c.participants, latest.last_message, c.last_at,
                tinychat.updated_at(c)
            from (
                select p.conversation_id, p.active_at
                from unnest(p_kinds) as wanted (kind)
                cross join lateral (
                    select p.conversation_id, p.active_at
                    from tinychat.participants p
                    where p.tenant_id = tenant.id and p.user_id = coalesce(p_user_id, tenant.caller) and p.kind = wanted.kind
                    order by p.active_at desc, p.conversation_id
                    limit 100
                ) p
                order by p.active_at desc, p.conversation_id
                limit 100
            ) newest
            join tinychat.conversations c on c.id = newest.conversation_id
            left join lateral tinychat.preview(c.id) latest on true
            order by newest.active_at desc, newest.conversation_id;
        if found then
            return;
        end if;
    end if;
    tenant_id := tenant.id;
    return next;
end
$$;
