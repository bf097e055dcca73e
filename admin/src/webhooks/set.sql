-- $1 a tenant  $2 an endpoint  $3 a URL  $4 events  $5 whether it gets recipients. What is null stays as it is.
update tinychat.webhook_endpoints
set url = coalesce($3, url), events = coalesce($4, events), recipients = coalesce($5, recipients)
where tenant_id = $1 and id = $2
returning id
