-- A function is out of use if its last use was a week ago and another function of its route has been started since. A
-- use is a migration to a release that has it, or the start of an environment with it. So a function that still runs is
-- kept, even one of an older release, and so is one that isn't deployed yet.
with used as (
    select name, route, started_at, greatest(migrated_at, started_at) as last_used
    from tinychat.route_functions
)
delete from tinychat.route_functions f
using used
where f.name = used.name
    and used.last_used < now() - interval '7 days'
    and exists (
        select from used other where other.route = used.route and other.started_at > used.last_used
    )
returning f.name
