-- The tenant and the user of the credential. A publishable key is accepted even if user tokens are required: an app
-- needs this response to find out that they are.
create function tinychat_api.get_config(p_credential jsonb)
returns table (verdict text, tenant_id uuid, name text, caller text, staff boolean, tokens text)
language plpgsql stable
as $$
begin
    return query select a.verdict, a.id, a.name, a.caller, a.staff, a.tokens from tinychat.authenticate(p_credential) a;
end
$$;
