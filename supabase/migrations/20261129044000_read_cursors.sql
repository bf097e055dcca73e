-- Read cursors: how far each participant has read. Who takes part from now on has read everything so far, and so has everyone
-- who already does: the default is evaluated once, without a rewrite of the table.
alter table tinychat.participants
    add read_at timestamptz not null default date_trunc('milliseconds', now());

-- How many messages a participant has not read, of others and not deleted; 100 stands for 100 and more.
create function tinychat.unread(conversation_id uuid, user_id text, read_at timestamptz)
returns table (unread_count bigint)
language sql stable
as $$
    select count(*)
    from (
        select
        from tinychat.messages m
        where m.conversation_id = unread.conversation_id
            and m.deleted_at is null
            and m.created_at > unread.read_at
            and m.sender_id <> unread.user_id
        limit 100
    ) m
$$;

grant update (read_at) on tinychat.participants to tinychat_functions;
revoke all on all functions in schema tinychat from public;
