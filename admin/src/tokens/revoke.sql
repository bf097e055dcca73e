-- $1 a tenant  $2 a key
update tinychat.token_keys
set revoked_at = tinychat.now_ms()
where tenant_id = $1 and id = $2 and revoked_at is null
returning id, created_at, revoked_at, 'revoked' as state
