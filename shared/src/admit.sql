-- Checks the caller's credential and nothing else, for a request whose input is invalid.
create function tinychat_api.admit(p_credential jsonb)
returns table (verdict text, tenant_id uuid)
language plpgsql stable
as $$
declare
    access record;
begin
    access := tinychat.check_access(p_credential);
    verdict := access.verdict;
    tenant_id := access.tenant_id;
    return next;
end
$$;
