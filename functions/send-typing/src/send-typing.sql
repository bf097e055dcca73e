-- Checks whether the caller may type in the conversation, and returns the sender.
create function tinychat_api.send_typing(
    p_credential jsonb,
    p_conversation_id uuid,
    p_sender_id text -- null: the caller
)
returns table (verdict text, tenant_id uuid, sender_id text, tokens text)
language plpgsql stable
as $$
begin
    return query
        select
            case
                when c.verdict <> 'ok' then c.verdict
                when p_sender_id <> c.caller then 'sender_not_caller'
                when c.status = 'closed' and not c.server then 'conversation_closed'
                else 'ok'
            end,
            c.tenant_id, coalesce(p_sender_id, c.caller), c.tokens
        from tinychat.conversation(p_credential, p_conversation_id) c;
end
$$;
