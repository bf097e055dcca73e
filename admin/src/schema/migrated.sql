-- $1 a function  $2 its route
-- Notes that a release which has the function was migrated to: see out-of-use.sql.
insert into tinychat.route_functions (name, route) values ($1, $2)
on conflict (name) do update set migrated_at = excluded.migrated_at
