-- The tenant whose key it is.
create function tinychat_api.get_config(p_key_hash bytea)
returns table (verdict text, tenant_id uuid, name text)
language plpgsql stable
as $$
begin
    return query select t.verdict, t.id, t.name from tinychat.tenant(p_key_hash) t;
end
$$;
