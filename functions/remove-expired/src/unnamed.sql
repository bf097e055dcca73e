-- $1 paths of uploads
-- Returns the paths that no message names. Files of conversations that aren't in this database are left alone.
select path
from unnest($1) as path
join tinychat.conversations c
    on c.id = split_part(path, '/', 2)::uuid and c.tenant_id = split_part(path, '/', 1)::uuid
-- A subquery looks up each path in the index. A join might scan all messages.
where (
    select true
    from tinychat.messages m
    where m.media_url is not null and tinychat.image_path(m.media_url) = path
    limit 1
) is null
