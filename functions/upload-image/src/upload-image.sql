-- Checks whether the caller may upload to the conversation.
create function tinychat_api.upload_image(p_credential jsonb, p_conversation_id uuid)
returns table (verdict text, tenant_id uuid)
language plpgsql stable
as $$
begin
    return query
        select
            case
                when c.verdict = 'ok' and c.status = 'closed' and not c.server then 'conversation_closed'
                else c.verdict
            end,
            c.tenant_id
        from tinychat.conversation(p_credential, p_conversation_id) c;
end
$$;
