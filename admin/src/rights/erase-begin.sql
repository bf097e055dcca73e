-- $1 a tenant  $2 a user  $3 a new opaque id
-- Begins the erasure, or finds the one that was interrupted, and revokes the user's tokens. Returns the opaque id and
-- whether it is new.
with erasure as (
    insert into tinychat.erasures as e (tenant_id, user_id, opaque_id) values ($1, $2, $3)
    on conflict (tenant_id, user_id) do update set user_id = excluded.user_id
    returning e.opaque_id
),
-- A token is valid for 24 hours at most. After that, remove-expired deletes the revocation, which names the user.
revoked as (
    insert into tinychat.token_revocations as r (tenant_id, user_id, issued_before, expires_at)
    select $1, $2, tinychat.now_ms(), now() + interval '25 hours'
    where exists (select from tinychat.token_keys k where k.tenant_id = $1)
    on conflict (tenant_id, user_id) do update
        set issued_before = excluded.issued_before, expires_at = excluded.expires_at
)
select opaque_id, opaque_id = $3 as new from erasure
