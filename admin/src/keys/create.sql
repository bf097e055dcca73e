-- $1 a tenant  $2 the key's hash  $3 its prefix  $4 its kind
insert into tinychat.api_keys (tenant_id, hash, prefix, kind)
select id, $2, $3, $4 from tinychat.tenants where id = $1
returning prefix
