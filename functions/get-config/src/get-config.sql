-- The tenant and the user of the credential. A publishable key is accepted even if user tokens are required: an app
-- needs this response to find out that they are.
create function tinychat_api.get_config(p_credential jsonb)
returns table (verdict text, tenant_id uuid, name text, caller text, staff boolean, tokens text)
language plpgsql stable
as $$
declare
    access record;
begin
    access := tinychat.check_access(p_credential, any_key => true);
    verdict := access.verdict;
    tenant_id := access.tenant_id;
    name := access.tenant_name;
    caller := access.caller;
    staff := access.staff;
    tokens := access.tokens;
    return next;
end
$$;
