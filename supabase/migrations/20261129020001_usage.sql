-- What check-usage has counted of a tenant's messages this month: those with ids of a time before `counted_until`.
create table tinychat.usage (
    tenant_id uuid primary key references tinychat.tenants on delete cascade,
    month timestamptz not null,
    messages bigint not null,
    counted_until timestamptz not null
);
alter table tinychat.usage enable row level security;
grant select, insert, update on tinychat.usage to tinychat_functions;
create policy functions on tinychat.usage to tinychat_functions using (true);

-- A conversation's time is the database's, and an id's is a function's: they may differ by a little.
create or replace function tinychat.messages_between(tenant_id uuid, since timestamptz, until timestamptz)
returns table (conversation_id uuid, sender_id text)
language sql stable
as $$
    select m.conversation_id, m.sender_id
    from tinychat.conversations c
    join tinychat.messages m
        on m.conversation_id = c.id
        and m.id >= tinychat.message_id_at(since) and m.id < tinychat.message_id_at(until)
    where c.tenant_id = messages_between.tenant_id and c.last_at >= since - interval '5 minutes'
$$;
