-- $1 a tenant  $2 a conversation  $3 a user  $4 how many
-- Messages of the user, each with the path of its image, unless another user's message at the tenant names that, too.
select m.id,
    case
        when i.path like $1 || '/%' and not exists (
            select
            from tinychat.messages o
            join tinychat.conversations c on c.id = o.conversation_id and c.tenant_id = $1
            where o.media_url is not null and tinychat.image_path(o.media_url) = i.path and o.sender_id <> $3
        ) then i.path
    end as image
from tinychat.messages m
cross join lateral (select tinychat.image_path(m.media_url)) as i (path)
where m.conversation_id = $2 and m.sender_id = $3
order by m.id
limit $4
