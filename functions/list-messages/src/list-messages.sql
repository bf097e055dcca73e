-- A page of history, the newest message first; or, with p_since, a page of changes, the oldest change first. Without
-- messages, the verdict alone.
create function tinychat_api.list_messages(
    p_credential jsonb, p_conversation_id uuid, p_before timestamptz, p_since timestamptz, p_limit bigint
)
returns table (
    verdict text, tenant_id uuid, id uuid, conversation_id uuid, sender_id text, body text, message_type text,
    media_url text, reply_to uuid, created_at timestamptz, updated_at timestamptz, edited_at timestamptz,
    deleted_at timestamptz, client_message_id text, metadata jsonb
)
language plpgsql stable
as $$
declare
    access record;
    horizon timestamptz;
begin
    access := tinychat.check_access(p_credential, p_conversation_id);
    if access.verdict = 'ok' then
        if p_since is null then
            return query
                select
                    access.verdict, access.tenant_id, m.id, m.conversation_id, m.sender_id, m.body,
                    m.message_type, m.media_url, m.reply_to, m.created_at, tinychat.updated_at(m), m.edited_at, m.deleted_at,
                    m.client_message_id, m.metadata
                from tinychat.messages m
                where m.conversation_id = access.conversation_id
                    and m.deleted_at is null
                    and m.created_at < coalesce(p_before, 'infinity')
                order by m.created_at desc
                limit p_limit;
        else
            -- Two short index scans, merged: one of edited and deleted messages, one of unchanged messages. If the
            -- first fills the page, its last time limits the second, which would otherwise pass over all the edited
            -- messages that come later.
            select max(change.changed_at) into horizon
            from (
                select m.changed_at
                from tinychat.messages m
                where m.conversation_id = access.conversation_id and m.changed_at > p_since
                order by m.changed_at
                limit p_limit
            ) change
            having count(*) = p_limit;
            return query
                select
                    access.verdict, access.tenant_id, m.id, m.conversation_id, m.sender_id, m.body,
                    m.message_type, m.media_url, m.reply_to, m.created_at, coalesce(m.changed_at, m.created_at),
                    m.edited_at, m.deleted_at, m.client_message_id, m.metadata
                from (
                    (
                        select m.*
                        from tinychat.messages m
                        where m.conversation_id = access.conversation_id and m.changed_at > p_since
                        order by m.changed_at
                        limit p_limit
                    )
                    union all
                    (
                        select m.*
                        from tinychat.messages m
                        where m.conversation_id = access.conversation_id
                            and m.deleted_at is null
                            and m.changed_at is null
                            and m.created_at > p_since
                            and m.created_at < coalesce(horizon, 'infinity')
                        order by m.created_at
                        limit p_limit
                    )
                ) m
                order by coalesce(m.changed_at, m.created_at)
                limit p_limit;
        end if;
        if found then
            return;
        end if;
    end if;
    verdict := access.verdict;
    tenant_id := access.tenant_id;
    return next;
end
$$;
