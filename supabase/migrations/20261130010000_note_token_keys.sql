-- Locks the tenant before it looks for keys. Otherwise a revocation that waits for a new key's transaction would not see that key.
create or replace function tinychat.note_token_keys() returns trigger
language plpgsql security definer
set search_path = ''
as $$
begin
    perform from tinychat.tenants t where t.id = coalesce(new.tenant_id, old.tenant_id) for no key update;
    update tinychat.tenants t
    set has_token_keys = exists (select from tinychat.token_keys k where k.tenant_id = t.id and k.revoked_at is null)
    where t.id = coalesce(new.tenant_id, old.tenant_id);
    return null;
end
$$;
update tinychat.tenants t set has_token_keys = not has_token_keys
where has_token_keys <> exists (select from tinychat.token_keys k where k.tenant_id = t.id and k.revoked_at is null);
