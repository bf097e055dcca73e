-- $1 a tenant  $2 a user
-- The number of the user's profiles, and whether an erasure was interrupted.
select
    (select count(*) from tinychat.users u where u.tenant_id = $1 and u.user_id = $2) as profiles,
    exists (select from tinychat.erasures e where e.tenant_id = $1 and e.user_id = $2) as begun
