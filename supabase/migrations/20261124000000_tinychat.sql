-- The whole of TinyChat's data: tenants and their keys, users, conversations, participants, messages.
--
-- The schema is private. The anon key is public by contract, so anything it could reach would be a leak: row-level
-- security is on without a policy, and nothing is granted to anon or authenticated. Only the functions
-- read and write here; the next migrations give them a role for it.
--
-- Times are kept in milliseconds, because that is what the API shows and what clients page by.

create schema tinychat;

create function tinychat.now_ms() returns timestamptz
language sql volatile
return date_trunc('milliseconds', clock_timestamp());

create table tinychat.tenants (
    id uuid primary key default gen_random_uuid(),
    name text not null check (name <> ''),
    status text not null default 'active' check (status in ('active', 'overage', 'suspended')),
    created_at timestamptz not null default tinychat.now_ms()
);

-- A key is shown once, when it is made. What is kept is its SHA-256 and enough of it to recognise it in a list.
create table tinychat.api_keys (
    hash bytea primary key check (length(hash) = 32),
    tenant_id uuid not null references tinychat.tenants on delete cascade,
    prefix text not null,
    created_at timestamptz not null default tinychat.now_ms(),
    revoked_at timestamptz
);
create index on tinychat.api_keys (tenant_id);

create table tinychat.users (
    id uuid primary key,
    tenant_id uuid not null references tinychat.tenants on delete cascade,
    user_id text not null,
    name text,
    email text,
    role text not null check (role in ('customer', 'driver', 'admin', 'support')),
    fcm_tokens text[] not null,
    notification_prefs jsonb not null,
    last_seen_at timestamptz not null,
    unique (tenant_id, user_id)
);

-- last_at is the time of the newest message and the conversation's clock: a send locks this row and moves it on.
-- It stays null until the first message, and a deleted message doesn't turn it back.
create table tinychat.conversations (
    id uuid primary key,
    tenant_id uuid not null references tinychat.tenants on delete cascade,
    kind text not null check (kind in ('order', 'support', 'direct')),
    external_ref text,
    participants text[] not null,
    created_at timestamptz not null default tinychat.now_ms(),
    last_at timestamptz,
    constraint conversations_external_ref_key unique (tenant_id, kind, external_ref)
);

-- One row per participant, with a copy of the conversation's kind and latest activity, so that listing a user's
-- conversations is one short index scan however many there are.
create table tinychat.participants (
    conversation_id uuid not null references tinychat.conversations on delete cascade,
    user_id text not null,
    tenant_id uuid not null,
    kind text not null,
    active_at timestamptz not null,
    primary key (conversation_id, user_id)
);
create index participants_activity on tinychat.participants
    (tenant_id, user_id, kind, active_at desc, conversation_id);

-- The key leads with the conversation: a message is only ever looked up inside one, and reply_to can't leave it.
create table tinychat.messages (
    conversation_id uuid not null references tinychat.conversations on delete cascade,
    id uuid not null,
    sender_id text not null,
    receiver_id text,
    body text,
    message_type text not null check (message_type in ('text', 'image')),
    media_url text,
    reply_to uuid,
    client_message_id text,
    created_at timestamptz not null,
    edited_at timestamptz,
    deleted_at timestamptz,
    deletion_id uuid, -- the request that deleted it, so that its second try knows the first one's work
    primary key (conversation_id, id),
    foreign key (conversation_id, reply_to) references tinychat.messages (conversation_id, id),
    check (case message_type when 'text' then body is not null else media_url is not null end)
);
-- Pages of history and previews. Unique, because the cursor is a time: two messages must never share one.
create unique index messages_history on tinychat.messages (conversation_id, created_at) where deleted_at is null;
create unique index messages_client_message_id on tinychat.messages (conversation_id, sender_id, client_message_id)
    where client_message_id is not null;

alter table tinychat.tenants enable row level security;
alter table tinychat.api_keys enable row level security;
alter table tinychat.users enable row level security;
alter table tinychat.conversations enable row level security;
alter table tinychat.participants enable row level security;
alter table tinychat.messages enable row level security;

-- The look-ups that every statement starts from. Each returns exactly one row. Its `verdict` is `ok` or the reason
-- why not, and its ids are null unless it is `ok`: a statement that joins on them does nothing for a caller who was
-- turned away, even if it forgets to look at the verdict. All are plain SQL, which the planner inlines.

create function tinychat.tenant(key_hash bytea)
returns table (verdict text, id uuid, name text)
language sql stable
as $$
    select
        case t.status
            when 'active' then 'ok'
            when 'overage' then 'tenant_overage'
            when 'suspended' then 'tenant_suspended'
            else 'invalid_api_key'
        end,
        case when t.status = 'active' then t.id end,
        t.name
    from (values (key_hash)) as given (hash)
    left join (tinychat.api_keys k join tinychat.tenants t on t.id = k.tenant_id)
        on k.hash = given.hash and k.revoked_at is null
$$;

create function tinychat.conversation(key_hash bytea, conversation_id uuid)
returns table (verdict text, tenant_id uuid, id uuid)
language sql stable
as $$
    select
        case when t.verdict = 'ok' and c.id is null then 'conversation_not_found' else t.verdict end,
        t.id,
        c.id
    from tinychat.tenant(key_hash) t
    left join tinychat.conversations c on c.tenant_id = t.id and c.id = conversation_id
$$;

-- What a list of conversations shows of the newest message that is still visible.
create function tinychat.preview(conversation_id uuid)
returns table (last_message text)
language sql stable
as $$
    select coalesce(m.body, '[image]')
    from tinychat.messages m
    where m.conversation_id = preview.conversation_id and m.deleted_at is null
    order by m.created_at desc
    limit 1
$$;

revoke all on schema tinychat from public;
revoke all on all functions in schema tinychat from public;
