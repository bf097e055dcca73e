-- $1 key hash
select verdict, id as tenant_id, name from tinychat.tenant($1)
