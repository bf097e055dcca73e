-- Retention: for how many days a tenant's messages are kept. remove-expired removes older ones, and their images.

alter table tinychat.tenants add retention_days integer check (retention_days > 0); -- null: for ever

-- How far remove-expired has come in what it looks through from beginning to end, again and again.
create table tinychat.progress (
    task text primary key,
    position text not null, -- the last thing that was looked at; empty at the beginning
    began_at timestamptz not null default tinychat.now_ms()
);
alter table tinychat.progress enable row level security;
grant select, insert, update on tinychat.progress to tinychat_functions;
create policy functions on tinychat.progress to tinychat_functions using (true);

-- Removes messages of these conversations that are older than their tenant keeps them, at most so many. Returns how many, and
-- the paths of the images that no message names any more. It runs as its owner: the functions' role can't delete messages,
-- and needn't, because this function deletes nothing else.
--
-- The conversation's row is locked first, as for every change: no reply can meanwhile be sent to what is removed. Nothing is
-- updated that sends touch. Ids begin with the time, so old messages are one range of each conversation's primary key.
create function tinychat.remove_expired_messages(conversations uuid[], most integer)
returns table (removed integer, images text[])
language plpgsql security definer
set search_path = ''
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
declare
    conversation record;
    expired uuid[];
    named text[];
begin
    removed := 0;
    images := '{}';
    for conversation in
        select c.id, c.tenant_id, now() - t.retention_days * interval '1 day' as expiry
        from tinychat.conversations c
        join tinychat.tenants t on t.id = c.tenant_id
        where c.id = any (conversations) and t.retention_days is not null
        order by c.id
        for no key update of c
    loop
        select array_agg(m.id) into expired
        from (
            select m.id
            from tinychat.messages m
            where m.conversation_id = conversation.id
                and m.id < tinychat.message_id_at(conversation.expiry)
                and m.created_at < conversation.expiry
            order by m.id
            limit most - removed
        ) m;
        continue when expired is null;
        update tinychat.messages m set reply_to = null
        where m.conversation_id = conversation.id and m.reply_to = any (expired);
        with gone as (
            delete from tinychat.messages m
            where m.conversation_id = conversation.id and m.id = any (expired)
            returning tinychat.image_path(m.media_url) as path
        )
        select array_agg(distinct path) filter (where path like conversation.tenant_id || '/%') into named from gone;
        removed := removed + cardinality(expired);
        images := images || coalesce(named, '{}');
        exit when removed >= most;
    end loop;
    select coalesce(array_agg(path), '{}') into images
    from unnest(images) as path
    where not exists (
        select from tinychat.messages m where m.media_url is not null and tinychat.image_path(m.media_url) = path
    );
    return next;
end
$$;

revoke all on function tinychat.remove_expired_messages(uuid[], integer) from public;
grant execute on function tinychat.remove_expired_messages(uuid[], integer) to tinychat_functions;

-- Deletes revocations of users that have lapsed. It, too, runs as its owner.
create function tinychat.remove_lapsed_revocations() returns void
language sql security definer
set search_path = ''
begin atomic
    delete from tinychat.token_revocations where expires_at < now();
end;

revoke all on function tinychat.remove_lapsed_revocations() from public;
grant execute on function tinychat.remove_lapsed_revocations() to tinychat_functions;
