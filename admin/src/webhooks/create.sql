-- $1 a tenant  $2 the endpoint's id  $3 its URL  $4 its events  $5 its secret  $6 whether it gets recipients
insert into tinychat.webhook_endpoints (id, tenant_id, url, events, secret, recipients)
select $2, id, $3, $4, $5, $6 from tinychat.tenants where id = $1
returning id
