-- Checks the caller's credential and nothing else, for a request whose input is invalid.
create function tinychat_api.admit(p_credential jsonb)
returns table (verdict text, tenant_id uuid)
language plpgsql stable
as $$
begin
    return query select t.verdict, t.id from tinychat.tenant(p_credential) t;
end
$$;
