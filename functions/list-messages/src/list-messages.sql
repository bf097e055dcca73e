-- A page of history, newest message first, or the verdict alone.
create function tinychat_api.list_messages(
    p_credential jsonb, p_conversation_id uuid, p_before timestamptz, p_limit bigint
)
returns table (
    verdict text, tenant_id uuid, id uuid, conversation_id uuid, sender_id text, body text, message_type text,
    media_url text, reply_to uuid, created_at timestamptz, edited_at timestamptz, deleted_at timestamptz
)
language plpgsql stable
as $$
declare
    conversation record;
begin
    select * into conversation from tinychat.conversation(p_credential, p_conversation_id);
    if conversation.verdict = 'ok' then
        return query
            select
                conversation.verdict, conversation.tenant_id, m.id, m.conversation_id, m.sender_id, m.body, m.message_type,
                m.media_url, m.reply_to, m.created_at, m.edited_at, m.deleted_at
            from tinychat.messages m
            where m.conversation_id = conversation.id
                and m.deleted_at is null
                and m.created_at < coalesce(p_before, 'infinity')
            order by m.created_at desc
            limit p_limit;
        if found then
            return;
        end if;
    end if;
    verdict := conversation.verdict;
    tenant_id := conversation.tenant_id;
    return next;
end
$$;
