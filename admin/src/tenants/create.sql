-- $1 the tenant's name  $2 the hash of its first key  $3 the key's prefix  $4 the key's kind
-- Neither is created without the other.
with tenant as (
    insert into tinychat.tenants (name) values ($1) returning id
)
insert into tinychat.api_keys (tenant_id, hash, prefix, kind)
select id, $2, $3, $4 from tenant
returning tenant_id as id
