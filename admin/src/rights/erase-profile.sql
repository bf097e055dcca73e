-- $1 a tenant  $2 a user  $3 the opaque id
-- Empties the profile. Its id changes, too, because it names the user's inbox channel. A profile that was created again
-- meanwhile is deleted.
with emptied as (
    update tinychat.users u
    set id = gen_random_uuid(), user_id = $3, name = null, email = null, fcm_tokens = '{}', notification_prefs = '{}',
        last_seen_at = tinychat.now_ms()
    where u.tenant_id = $1 and u.user_id = $2
        and not exists (select from tinychat.users o where o.tenant_id = $1 and o.user_id = $3)
    returning u.user_id
)
delete from tinychat.users u
where u.tenant_id = $1 and u.user_id = $2 and not exists (select from emptied)
