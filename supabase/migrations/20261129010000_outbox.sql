-- The outbox under stress: endpoints that fail, are slow or are gone for days harm nobody else, and it can't grow for ever.

-- A foreign key makes each new event lock its endpoint's row (KEY SHARE), while whoever records failures of several
-- endpoints locks their rows, too: sends and deliverers met in deadlocks. A trigger deletes what the key's cascade did.
-- An event that is written while its endpoint is deleted stays behind, and is given up and purged by its age.
alter table tinychat.webhook_deliveries drop constraint webhook_deliveries_endpoint_id_fkey;

create function tinychat.delete_deliveries() returns trigger
language plpgsql
as $$
begin
    delete from tinychat.webhook_deliveries where endpoint_id = old.id;
    return null;
end
$$;
create trigger delete_deliveries after delete on tinychat.webhook_endpoints
    for each row execute function tinychat.delete_deliveries();

alter table tinychat.webhook_endpoints
    add failing_since timestamptz, -- the first failure after the last success
    add slowness integer not null default 0; -- rises with late answers, falls with prompt ones

-- now() rather than now_ms(), which is volatile and would rewrite the table.
alter table tinychat.webhook_deliveries
    add queued_at timestamptz not null default now(), -- when it was written or last replayed: its age counts from here
    add claimed boolean not null default false; -- by deliver-webhooks, which has recorded nothing yet

grant update (failing_since, slowness) on tinychat.webhook_endpoints to tinychat_functions;
grant update (claimed) on tinychat.webhook_deliveries to tinychat_functions;

-- Whether the functions that send make the first attempts at an endpoint. deliver-webhooks alone serves those that fail or
-- answer late, so that no request's environment is kept busy by them. See shared/src/webhook/record.sql.
create function tinychat.webhook_is_prompt(w tinychat.webhook_endpoints) returns boolean
language sql immutable
return w.failures < tinychat.webhook_patience() and w.slowness < 10;

-- In tinychat.record_event that takes the place of the condition on failures alone, twice. Its text is otherwise as it was.
do $$
declare
    before text := pg_get_functiondef('tinychat.record_event'::regproc);
    after text := replace(before, 'w.failures < tinychat.webhook_patience()', 'tinychat.webhook_is_prompt(w)');
begin
    if after = before then
        raise exception 'tinychat.record_event isn''t what this migration knows';
    end if;
    execute after;
end
$$;

revoke all on function tinychat.delete_deliveries(), tinychat.webhook_is_prompt(tinychat.webhook_endpoints) from public;
