-- Who the functions are to Postgres: a role that can do what their statements do, and nothing else. It reads keys'
-- hashes and can't make a key; it can't delete a message, nor change who sent it. An operator lets it log in:
--
--     alter role tinychat_functions login password '…';
--
-- Row-level security stays on for everyone else. For this role its policies let every row pass: whose row it is, each
-- statement settles itself, from the key. A policy by tenant would need to be told the tenant first, by one more round trip.

do $$
begin
    if not exists (select from pg_roles where rolname = 'tinychat_functions') then
        create role tinychat_functions;
    end if;
end
$$;

-- A function waits 2.8 s and hangs up. A pooler's connection shall not be busy for much longer with what nobody awaits.
alter role tinychat_functions set statement_timeout = '5s';
alter role tinychat_functions set idle_in_transaction_session_timeout = '5s';
alter role tinychat_functions set search_path = '';

grant usage on schema tinychat to tinychat_functions;
grant execute on all functions in schema tinychat to tinychat_functions;
alter default privileges in schema tinychat grant execute on functions to tinychat_functions;

grant select on tinychat.tenants, tinychat.api_keys to tinychat_functions;
grant select, insert on tinychat.users, tinychat.conversations, tinychat.participants, tinychat.messages
    to tinychat_functions;
grant update (name, email, role, fcm_tokens, notification_prefs, last_seen_at) on tinychat.users to tinychat_functions;
grant update (last_at) on tinychat.conversations to tinychat_functions;
grant update (active_at) on tinychat.participants to tinychat_functions;
grant update (body, edited_at, deleted_at, deletion_id) on tinychat.messages to tinychat_functions;

create policy functions on tinychat.tenants to tinychat_functions using (true);
create policy functions on tinychat.api_keys to tinychat_functions using (true);
create policy functions on tinychat.users to tinychat_functions using (true);
create policy functions on tinychat.conversations to tinychat_functions using (true);
create policy functions on tinychat.participants to tinychat_functions using (true);
create policy functions on tinychat.messages to tinychat_functions using (true);
