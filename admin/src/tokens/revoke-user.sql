-- $1 a tenant  $2 a user
-- Revokes the tokens that were issued until now.
insert into tinychat.token_revocations (tenant_id, user_id, issued_before)
select id, $2, tinychat.now_ms() from tinychat.tenants where id = $1
on conflict (tenant_id, user_id) do update set issued_before = excluded.issued_before, expires_at = null
returning tenant_id
