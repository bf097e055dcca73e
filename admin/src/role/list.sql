-- The group, and its members that were created for functions to log in as. Since Postgres 16, the role that created the
-- group is a member, too, but it may create roles.
select
    r.rolname::text as name, r.rolcanlogin as may_log_in, coalesce(r.rolconfig, '{}') as settings,
    (select count(*) from pg_stat_activity a where a.usename = r.rolname) as sessions
from pg_roles r
where r.rolname = 'tinychat_functions'
    or r.rolcanlogin and not r.rolsuper and not r.rolcreaterole and exists (
        select
        from pg_auth_members m
        join pg_roles g on g.oid = m.roleid
        where m.member = r.oid and g.rolname = 'tinychat_functions'
    )
order by r.rolname
