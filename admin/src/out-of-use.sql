-- A function is out of use when no release has been migrated to and no environment started with it for a week, and
-- another one of its route has been started since. So one that still runs is kept, be it that of an older release, and
-- so is one that is yet to be deployed.
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
