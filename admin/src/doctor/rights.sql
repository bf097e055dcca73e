-- The rights of the role that functions log in as, and the number of connections that the database accepts.
select
    current_user::text as name,
    pg_has_role(current_user, 'tinychat_functions', 'usage') as is_member,
    has_table_privilege('tinychat.messages', 'delete') as is_owner,
    current_setting('max_connections')::bigint - current_setting('superuser_reserved_connections')::bigint
        as connections
