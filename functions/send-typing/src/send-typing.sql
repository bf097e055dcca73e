-- $1 key hash  $2 conversation
select verdict from tinychat.conversation($1, $2)
