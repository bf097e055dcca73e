-- What a list of conversations shows of the newest message that is still visible: no more than its beginning, because a list
-- of a hundred must not grow with what others write.
create or replace function tinychat.preview(conversation_id uuid)
returns table (last_message text)
language sql stable
as $$
    select left(coalesce(m.body, '[image]'), 200)
    from tinychat.messages m
    where m.conversation_id = preview.conversation_id and m.deleted_at is null
    order by m.created_at desc
    limit 1
$$;
