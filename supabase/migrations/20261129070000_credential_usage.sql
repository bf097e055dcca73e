-- How many of a tenant's requests came with which kind of credential, by day in UTC. Function processes count in memory and add
-- their counts here once a minute at most (shared/src/credential_usage.rs). What a process had still to add when Lambda ended it
-- is missing. The day comes first in the key, because check-usage purges by it.
create table tinychat.credential_usage (
    day date not null,
    tenant_id uuid not null references tinychat.tenants on delete cascade,
    credential text not null check (credential in ('publishable', 'secret', 'token')),
    requests bigint not null,
    primary key (day, tenant_id, credential)
);
alter table tinychat.credential_usage enable row level security;
grant select, insert, update, delete on tinychat.credential_usage to tinychat_functions;
create policy functions on tinychat.credential_usage to tinychat_functions using (true);
