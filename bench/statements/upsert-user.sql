-- $1 key hash  $2 id for a new row  $3 user_id  $4 name  $5 email  $6 role  $7 fcm_tokens  $8 notification_prefs
-- A parameter that is null was omitted: the stored value stays, or a new row takes the default.
with tenant as (
    select * from tinychat.tenant($1)
),
upserted as (
    insert into tinychat.users as stored
        (id, tenant_id, user_id, name, email, role, fcm_tokens, notification_prefs, last_seen_at)
    select $2, tenant.id, $3, $4, $5, coalesce($6, 'customer'), coalesce($7, '{}'), coalesce($8, '{}'), tinychat.now_ms()
    from tenant
    where tenant.id is not null
    on conflict (tenant_id, user_id) do update set
        name = coalesce($4, stored.name),
        email = coalesce($5, stored.email),
        role = coalesce($6, stored.role),
        fcm_tokens = coalesce($7, stored.fcm_tokens),
        notification_prefs = coalesce($8, stored.notification_prefs),
        last_seen_at = excluded.last_seen_at
    returning *
)
select tenant.verdict, upserted.*
from tenant
left join upserted on true
