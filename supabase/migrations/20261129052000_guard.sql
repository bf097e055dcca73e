-- A guard against floods, for tenants that want it: 20 messages in 10 s by one sender in one conversation.
alter table tinychat.tenants add guard boolean not null default false;

-- How many seconds a sender must wait before the next message, null for none. Both scans are of what happened in the
-- conversation within 10 s. The second is of deleted messages, because deleting makes no room.
create function tinychat.guard_wait(conversation_id uuid, sender_id text, at timestamptz) returns integer
language plpgsql stable
as $$
declare
    since timestamptz := at - interval '10 s';
    twentieth timestamptz;
begin
    select recent.created_at into twentieth
    from (
        (
            select m.created_at
            from tinychat.messages m
            where m.conversation_id = guard_wait.conversation_id and m.deleted_at is null
                and m.created_at > since and m.sender_id = guard_wait.sender_id
            order by m.created_at desc
            limit 20
        )
        union all
        select m.created_at
        from tinychat.messages m
        where m.conversation_id = guard_wait.conversation_id and m.changed_at > since
            and m.deleted_at is not null and m.created_at > since and m.sender_id = guard_wait.sender_id
    ) recent
    order by recent.created_at desc
    offset 19
    limit 1;
    return ceil(extract(epoch from twentieth - since));
end
$$;
revoke all on all functions in schema tinychat from public;
