-- $1 key hash
select verdict, id, name from tinychat.tenant($1)
