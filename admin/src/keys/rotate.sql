-- $1 a tenant  $2 the old key's prefix  $3 the number of hours for which the old key stays valid
-- $4 the new key's hash  $5 its prefix  $6 its kind
-- Ends the old key, unless it ends sooner, and stores the new one. Neither happens without the other.
with ended as (
    update tinychat.api_keys
    set revoked_at = least(revoked_at, tinychat.now_ms() + $3 * interval '1 hour')
    where tenant_id = $1 and prefix = $2 and (revoked_at is null or revoked_at > now())
    returning tenant_id
)
insert into tinychat.api_keys (tenant_id, hash, prefix, kind)
select tenant_id, $4, $5, $6 from ended
returning prefix
