-- The routes' server-side functions: one for each version of a route's SQL, under a name that ends in a hash of its text.
-- A backend keeps their plans, so that a request is one call with no planning behind it; and the code of two releases
-- can run side by side, each with its own functions. `tinychat migrate` creates and removes them.

create schema tinychat_api;
revoke all on schema tinychat_api from public;
grant usage on schema tinychat_api to tinychat_functions;

-- The route functions that exist, and when each was last in use: a migration to its release, or the start of a Lambda
-- environment that calls it, which is noted at most once an hour. `tinychat migrate` removes what is out of use.
create table tinychat.route_functions (
    name text primary key, -- <route>_<hash>
    route text not null,
    migrated_at timestamptz not null default tinychat.now_ms(),
    started_at timestamptz
);

alter table tinychat.route_functions enable row level security;
grant select on tinychat.route_functions to tinychat_functions;
grant update (started_at) on tinychat.route_functions to tinychat_functions;
create policy functions on tinychat.route_functions to tinychat_functions using (true);
