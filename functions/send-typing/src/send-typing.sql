-- Checks whether the caller may type in the conversation, and returns the sender.
create function tinychat_api.send_typing(
    p_credential jsonb,
    p_conversation_id uuid,
    p_sender_id text -- null: the caller
)
returns table (verdict text, tenant_id uuid, sender_id text, tokens text)
language plpgsql stable
as $$
declare
    access record;
begin
    access := tinychat.check_access(p_credential, p_conversation_id);
    tenant_id := access.tenant_id;
    sender_id := coalesce(p_sender_id, access.caller);
    tokens := access.tokens;
    verdict := case
        when access.verdict <> 'ok' then access.verdict
        when p_sender_id <> access.caller then 'sender_not_caller'
        when access.status = 'closed' and not access.server then 'conversation_closed'
        else 'ok'
    end;
    return next;
end
$$;
