-- A change of a conversation that nobody was told of, as with messages (20261129020000_late_and_untold.sql).

-- The backend that stored the change `update_id`.
alter table tinychat.conversations add backend integer;
grant update (backend) on tinychat.conversations to tinychat_functions;

-- The time with which an id begins, if it is a UUID of version 7. The inverse of message_id_at.
create function tinychat.time_of(id uuid) returns timestamptz
language sql immutable
return to_timestamp(('x' || left(replace(id::text, '-', ''), 12))::bit(48)::bigint / 1000.0);

revoke all on function tinychat.time_of(uuid) from public;
