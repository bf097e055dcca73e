-- $1 a tenant  $2 a prefix
update tinychat.api_keys
set revoked_at = tinychat.now_ms()
where tenant_id = $1 and prefix = $2 and (revoked_at is null or revoked_at > now())
returning prefix, created_at, revoked_at, 'revoked' as state
