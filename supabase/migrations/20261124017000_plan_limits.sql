-- Plans: how many messages a tenant may send in a calendar month (UTC). check-usage counts, now and then, and sets or clears
-- the status `overage`; so a limit is kept within minutes, not to the message. Deleted messages count.

alter table tinychat.tenants add message_limit bigint check (message_limit > 0); -- null: none

-- The lowest id that a message of this time or later has: UUIDv7 begins with the milliseconds. With it a month's messages
-- are one range of each conversation's primary key, counted from the index alone.
create function tinychat.message_id_at(at timestamptz) returns uuid
language sql immutable
return (lpad(to_hex((extract(epoch from at) * 1000)::bigint), 12, '0') || '00000000000000000000')::uuid;

-- The conversations that may have messages since then. What was sent in a month is in a conversation whose last message
-- is not older.
create function tinychat.messages_between(tenant_id uuid, since timestamptz, until timestamptz)
returns table (conversation_id uuid, sender_id text)
language sql stable
as $$
    select m.conversation_id, m.sender_id
    from tinychat.conversations c
    join tinychat.messages m
        on m.conversation_id = c.id
        and m.id >= tinychat.message_id_at(since) and m.id < tinychat.message_id_at(until)
    where c.tenant_id = messages_between.tenant_id and c.last_at >= since
$$;

grant update (status) on tinychat.tenants to tinychat_functions;
revoke all on all functions in schema tinychat from public;
