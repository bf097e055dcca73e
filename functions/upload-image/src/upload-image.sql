-- Checks whether the caller may upload to the conversation.
create function tinychat_api.upload_image(p_credential jsonb, p_conversation_id uuid)
returns table (verdict text, tenant_id uuid)
language plpgsql stable
as $$
declare
    access record;
begin
    access := tinychat.check_access(p_credential, p_conversation_id);
    tenant_id := access.tenant_id;
    verdict := case
        when access.verdict = 'ok' and access.status = 'closed' and not access.server then 'conversation_closed'
        else access.verdict
    end;
    return next;
end
$$;
