-- The tenant and the user whose credential it is. A publishable key will do even where user tokens are required: an app needs
-- the answer to find out that they are.
create function tinychat_api.get_config(p_credential jsonb)
returns table (verdict text, tenant_id uuid, name text, caller text, staff boolean, tokens text)
language plpgsql stable
as $$
begin
    return query select a.verdict, a.id, a.name, a.caller, a.staff, a.tokens from tinychat.authenticate(p_credential) a;
end
$$;
