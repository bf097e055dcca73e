-- The parts of a Supabase project that TinyChat's policy on private channels needs. A real project has them already.

do $$
declare
    role text;
begin
    foreach role in array array['anon', 'authenticated'] loop
        if not exists (select from pg_roles where rolname = role) then
            execute format('create role %I nologin noinherit', role);
        end if;
    end loop;
end
$$;

create schema if not exists realtime;
grant usage on schema realtime to anon, authenticated;
create table if not exists realtime.messages (
    id uuid primary key default gen_random_uuid(),
    topic text not null,
    extension text not null,
    payload jsonb,
    event text,
    private boolean default false
);
alter table realtime.messages enable row level security;
grant select, insert, update on realtime.messages to anon, authenticated;
create or replace function realtime.topic() returns text
language sql stable
return nullif(current_setting('realtime.topic', true), '');
