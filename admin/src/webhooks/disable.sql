-- $1 a tenant  $2 an endpoint
update tinychat.webhook_endpoints
set disabled_at = coalesce(disabled_at, now()), disabled_reason = 'by an operator'
where tenant_id = $1 and id = $2
returning id
