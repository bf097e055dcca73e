-- What happens to a statement whose caller has given up, and to a change that nobody was told of.

-- A request waits 2.8 s for Postgres and is then answered 500. Its statement ends before that, so that nothing is committed
-- after the answer. shared/src/db.rs gives less to a statement that begins late.
alter role tinychat_functions set statement_timeout = '2500ms';

-- The backend that stored a message, or its deletion. A function broadcasts after the commit, over a connection that it
-- holds on to: while the backend lives, nothing says that it hasn't. If it has ended, the function may have died before, or
-- have answered 500 because the commit's answer was lost, and a repeat is broadcast once more.
alter table tinychat.messages add backend integer;
grant update (backend) on tinychat.messages to tinychat_functions;

-- Whether a change may not have been broadcast. After ten minutes listeners have caught up from history.
create function tinychat.untold(backend integer, at timestamptz) returns boolean
language sql stable
return backend is not null and at > now() - interval '10 minutes' and not (
    pg_postmaster_start_time() < at and exists (select from pg_stat_activity a where a.pid = backend)
);

revoke all on all functions in schema tinychat from public;
