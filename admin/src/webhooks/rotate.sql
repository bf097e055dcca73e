-- $1 a tenant  $2 an endpoint  $3 the new secret  $4 the number of hours for which the old secret also signs
update tinychat.webhook_endpoints
set previous_secret = secret, previous_secret_until = now() + $4 * interval '1 hour', secret = $3
where tenant_id = $1 and id = $2
returning id
