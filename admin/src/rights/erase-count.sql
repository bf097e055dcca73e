-- $1 a tenant  $2 conversations  $3 a user
-- How many of their messages are the user's, and how many images these name.
select count(*) as messages, count(distinct i.path) filter (where i.path like $1 || '/%') as images
from tinychat.messages m
cross join lateral (select tinychat.image_path(m.media_url)) as i (path)
where m.conversation_id = any ($2) and m.sender_id = $3
