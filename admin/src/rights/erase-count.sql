-- $1 a tenant  $2 conversations  $3 a user
-- The number of the user's messages in these conversations, and the number of images that these messages name.
select count(*) as messages, count(distinct i.path) filter (where i.path like $1 || '/%') as images
from tinychat.messages m
cross join lateral (select tinychat.image_path(m.media_url)) as i (path)
where m.conversation_id = any ($2) and m.sender_id = $3
