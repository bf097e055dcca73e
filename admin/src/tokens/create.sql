-- $1 a tenant  $2 the key's id  $3 its inner pad  $4 its outer pad
insert into tinychat.token_keys (id, tenant_id, inner_pad, outer_pad)
select $2, id, $3, $4 from tinychat.tenants where id = $1
returning id
