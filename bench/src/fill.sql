-- Inserts :rows messages of the demo tenant. Half of them are in conversation 0. The other half is spread evenly over
-- :rows / 100 conversations, but at least a hundred. The user u_42 participates in all conversations, has sent all
-- messages and has read them. The other participants have read nothing.
-- The id of conversation n, and of message n in its conversation, ends in n in hexadecimal. The n-th message of all was
-- created in second n of 2026.
set session_replication_role = replica; -- skips the foreign-key check of each row, which is slow
set synchronous_commit = off;

create function pg_temp.conversation_id(n bigint) returns uuid language sql immutable
return ('c0000000-0000-4000-8000-' || lpad(to_hex(n), 12, '0'))::uuid;

create function pg_temp.message_id(n bigint) returns uuid language sql immutable
return ('01990000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid;

create function pg_temp.second(n bigint) returns timestamptz language sql immutable
return timestamptz '2026-01-01T00:00:00Z' + n * interval '1 s';

create temporary table shape as
select conversations, :rows / 2 / conversations as share
from (values (greatest(100, :rows / 100))) as sizes (conversations);

insert into tinychat.conversations (id, tenant_id, kind, external_ref, participants, created_at, last_at)
select
    pg_temp.conversation_id(n), '11111111-2222-4333-8444-555555555555',
    (array['order', 'support', 'direct'])[1 + n % 3], 'bench_' || n, array['u_42', 'driver_' || greatest(n, 3)],
    pg_temp.second(0), pg_temp.second(case n when 0 then :rows - 1 else 2 * n * share end)
from shape, generate_series(0, conversations) as n;

insert into tinychat.participants (conversation_id, user_id, tenant_id, kind, active_at, read_at)
select id, user_id, tenant_id, kind, last_at, case user_id when 'u_42' then last_at else pg_temp.second(0) end
from tinychat.conversations, unnest(participants) as user_id
where external_ref like 'bench\_%'
order by last_at;

insert into tinychat.messages (conversation_id, id, sender_id, body, message_type, created_at)
select
    case n % 2 when 1 then pg_temp.conversation_id(0) else pg_temp.conversation_id(1 + (n / 2 - 1) / share) end,
    case n % 2 when 1 then pg_temp.message_id((n + 1) / 2) else pg_temp.message_id(1 + (n / 2 - 1) % share) end,
    'u_42', 'Message ' || n || ', about as long as what people write to each other.', 'text', pg_temp.second(n)
from shape, generate_series(1, :rows::bigint) as n;
