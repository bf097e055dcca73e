-- $1 the receiver's URL  $2 a secret  $3 the endpoint's id
-- Sets the URL of the demo tenant's endpoint to this run's receiver. An existing endpoint keeps its secret.
insert into tinychat.webhook_endpoints (id, tenant_id, url, events, secret)
select $3::text::uuid, id, $1,
    '{message.created,message.updated,message.deleted,conversation.updated}', $2
from tinychat.tenants
where id = '11111111-2222-4333-8444-555555555555'
on conflict (id) do update
    set url = excluded.url, events = excluded.events, disabled_at = null, failures = 0, held_until = null
returning secret
