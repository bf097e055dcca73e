-- Webhooks: where a tenant wants to hear of its messages, and the outbox of what it is still to hear.
--
-- An event is written by the statement that changes the message, so that neither can be without the other. Whoever
-- delivers it holds a lease on it, which is its next_attempt_at in the future: if that process dies, the time comes and
-- another takes over.

-- The secrets are kept as they are, because signing needs them.
create table tinychat.webhook_endpoints (
    id uuid primary key,
    tenant_id uuid not null references tinychat.tenants on delete cascade,
    url text not null check (url ~ '^https?://'),
    events text[] not null check (
        events <> '{}' and events <@ array['message.created', 'message.updated', 'message.deleted']
    ),
    secret text not null check (secret like 'whsec\_%'),
    previous_secret text, -- signs too while receivers change over
    previous_secret_until timestamptz,
    created_at timestamptz not null default tinychat.now_ms(),
    disabled_at timestamptz,
    disabled_reason text,
    failures integer not null default 0, -- in a row
    held_until timestamptz
);
create index on tinychat.webhook_endpoints (tenant_id) where disabled_at is null;

-- One row per event and endpoint. The payload is text, because every attempt must send, and sign, the same bytes.
-- Without an outcome it is still to be delivered; `dead` is what was given up.
create table tinychat.webhook_deliveries (
    endpoint_id uuid not null references tinychat.webhook_endpoints on delete cascade,
    event_id uuid not null, -- the webhook-id, the same at all endpoints and in all attempts
    type text not null,
    payload text not null,
    created_at timestamptz not null default tinychat.now_ms(),
    outcome text check (outcome in ('delivered', 'dead')),
    settled_at timestamptz,
    next_attempt_at timestamptz not null,
    attempts integer not null default 0,
    last_attempt_at timestamptz,
    last_status integer, -- null: there was no answer
    last_latency_ms integer,
    last_answer text, -- its beginning, or why there was none
    primary key (endpoint_id, event_id)
);
-- What is due, by endpoint, so that one's backlog is never in another's way; and what may be purged.
create index webhook_deliveries_due on tinychat.webhook_deliveries (endpoint_id, next_attempt_at)
    where outcome is null;
create index webhook_deliveries_settled on tinychat.webhook_deliveries (settled_at) where outcome is not null;

alter table tinychat.webhook_endpoints enable row level security;
alter table tinychat.webhook_deliveries enable row level security;

grant select on tinychat.webhook_endpoints to tinychat_functions;
grant update (failures, held_until, disabled_at, disabled_reason) on tinychat.webhook_endpoints to tinychat_functions;
grant select, insert, delete on tinychat.webhook_deliveries to tinychat_functions;
grant update (
    payload, outcome, settled_at, next_attempt_at, attempts, last_attempt_at, last_status, last_latency_ms, last_answer
) on tinychat.webhook_deliveries to tinychat_functions;
create policy functions on tinychat.webhook_endpoints to tinychat_functions using (true);
create policy functions on tinychat.webhook_deliveries to tinychat_functions using (true);

-- From so many failures in a row on, an endpoint is on hold most of the time: see shared/src/webhook/record.sql.
create function tinychat.webhook_patience() returns integer
language sql immutable
return 10;

-- A time as the API shows it.
create function tinychat.iso(at timestamptz) returns text
language sql immutable
return to_char(at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"');

-- All that an attempt needs to know.
create function tinychat.webhook_delivery(d tinychat.webhook_deliveries, w tinychat.webhook_endpoints) returns json
language sql stable
return json_build_object(
    'tenant_id', w.tenant_id,
    'endpoint_id', d.endpoint_id,
    'event_id', d.event_id,
    'url', w.url,
    'secret', w.secret,
    'previous_secret', case when w.previous_secret_until > now() then w.previous_secret end,
    'payload', d.payload,
    'leased_until', d.next_attempt_at
);

-- Writes the event of a message that the calling statement has just changed, once for each endpoint that wants it, and
-- returns the deliveries that the caller is to attempt: they are leased to it. An endpoint on hold isn't among them.
-- Null ids mean that nothing has changed. Volatile, so it sees what its caller has done so far; and in plpgsql, whose
-- plans outlive the statement, so a tenant without webhooks pays for one look at an index and no planning.
-- A second run of the caller's statement finds the first one's rows and says again what it does.
create function tinychat.record_event(
    tenant_id uuid, event_id uuid, type text, conversation_id uuid, message_id uuid
) returns json
language plpgsql volatile strict
as $$
declare
    payload text;
    deliveries json;
begin
    if not exists (
        select from tinychat.webhook_endpoints w
        where w.tenant_id = record_event.tenant_id and w.disabled_at is null and record_event.type = any (w.events)
    ) then
        return null;
    end if;

    select json_build_object(
        'type', record_event.type,
        'timestamp', tinychat.iso(coalesce(m.deleted_at, m.edited_at, m.created_at)),
        'data', json_build_object(
            'message', json_build_object(
                'id', m.id,
                'conversation_id', m.conversation_id,
                'sender_id', m.sender_id,
                'body', case when m.deleted_at is null then m.body end,
                'message_type', m.message_type,
                'media_url', case when m.deleted_at is null then m.media_url end,
                'reply_to', m.reply_to,
                'created_at', tinychat.iso(m.created_at),
                'edited_at', tinychat.iso(m.edited_at),
                'deleted_at', tinychat.iso(m.deleted_at),
                'receiver_id', m.receiver_id
            ),
            'conversation', json_build_object(
                'id', c.id,
                'tenant_id', c.tenant_id,
                'kind', c.kind,
                'external_ref', c.external_ref,
                'participants', c.participants,
                'last_message', p.last_message,
                'last_at', tinychat.iso(c.last_at)
            )
        )
    )
    into strict payload
    from tinychat.messages m
    join tinychat.conversations c on c.id = m.conversation_id
    left join lateral tinychat.preview(c.id) p on true
    where m.conversation_id = record_event.conversation_id and m.id = record_event.message_id;

    with written as (
        insert into tinychat.webhook_deliveries as d (endpoint_id, event_id, type, payload, next_attempt_at)
        select w.id, record_event.event_id, record_event.type, payload,
            case
                when w.failures < tinychat.webhook_patience() then tinychat.now_ms() + interval '10 s'
                else greatest(tinychat.now_ms(), w.held_until)
            end
        from tinychat.webhook_endpoints w
        where w.tenant_id = record_event.tenant_id and w.disabled_at is null and record_event.type = any (w.events)
        on conflict on constraint webhook_deliveries_pkey
            do update set payload = excluded.payload, next_attempt_at = excluded.next_attempt_at
        returning d as delivery
    )
    select json_agg(tinychat.webhook_delivery(delivery, w))
    into deliveries
    from written
    join tinychat.webhook_endpoints w on w.id = (delivery).endpoint_id
    where w.failures < tinychat.webhook_patience();
    return deliveries;
end
$$;

revoke all on all functions in schema tinychat from public;
