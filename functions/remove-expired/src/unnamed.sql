-- $1 paths of uploads
-- Those that no message names, of conversations that are in this database: files of others are left alone.
select path
from unnest($1) as path
join tinychat.conversations c
    on c.id = split_part(path, '/', 2)::uuid and c.tenant_id = split_part(path, '/', 1)::uuid
-- Path by path, by the index. As a join it might be done in one pass over all messages.
where (
    select true
    from tinychat.messages m
    where m.media_url is not null and tinychat.image_path(m.media_url) = path
    limit 1
) is null
