-- $1 a tenant  $2 users. Existing users stay unchanged.
insert into tinychat.users (id, tenant_id, user_id, name, email, role, fcm_tokens, notification_prefs, last_seen_at)
select
    case when g.id is null or exists (select from tinychat.users u where u.id = g.id) then gen_random_uuid() else g.id end,
    $1, g.user_id, g.name, g.email, g.role, coalesce(g.fcm_tokens, '{}'), coalesce(g.notification_prefs, '{}'),
    coalesce(g.last_seen_at, tinychat.now_ms())
from json_to_recordset($2) as g (
    id uuid, user_id text, name text, email text, role text, fcm_tokens text[], notification_prefs jsonb, last_seen_at timestamptz
)
on conflict (tenant_id, user_id) do nothing
