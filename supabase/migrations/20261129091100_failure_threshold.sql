-- A name that says what the number is.
alter function tinychat.webhook_patience() rename to webhook_failure_threshold;

-- Functions of the release before this one call it by its old name.
create function tinychat.webhook_patience() returns integer
language sql immutable
return tinychat.webhook_failure_threshold();
revoke all on function tinychat.webhook_patience() from public;
