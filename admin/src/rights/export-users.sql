-- $1 a tenant  $2 a user, or null for all
select
    json_build_object(
        'type', 'user',
        'id', u.id,
        'user_id', u.user_id,
        'name', u.name,
        'email', u.email,
        'role', u.role,
        'fcm_tokens', u.fcm_tokens,
        'notification_prefs', u.notification_prefs,
        'last_seen_at', tinychat.iso(u.last_seen_at)
    )::text as line
from tinychat.users u
where u.tenant_id = $1 and ($2 is null or u.user_id = $2)
order by u.user_id
