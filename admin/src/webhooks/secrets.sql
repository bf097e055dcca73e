-- $1 a tenant  $2 an endpoint
select url, secret, case when previous_secret_until > now() then previous_secret end as previous
from tinychat.webhook_endpoints
where tenant_id = $1 and id = $2
