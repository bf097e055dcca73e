-- $1 key hash  $2 conversation
select verdict, tenant_id from tinychat.conversation($1, $2)
