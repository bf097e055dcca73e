-- $1 a tenant  $2 the number of messages in a month, or null for no limit
-- check-usage checks tenants that have a limit. It will find one that exceeds a new limit.
update tinychat.tenants
set message_limit = $2, status = case when $2 is null and status = 'overage' then 'active' else status end
where id = $1
returning id
