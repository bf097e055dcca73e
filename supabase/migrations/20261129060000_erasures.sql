-- Users who ask to be forgotten. `tinychat users erase` gives such a user an opaque id, under which conversations stay readable,
-- and works through the tenant's data in batches.

-- The erasures that are under way, so that one that was interrupted goes on with the same opaque id. A row goes when its
-- erasure is complete: nothing remembers who an opaque id was.
create table tinychat.erasures (
    tenant_id uuid not null references tinychat.tenants on delete cascade,
    user_id text not null,
    opaque_id text not null,
    started_at timestamptz not null default tinychat.now_ms(),
    primary key (tenant_id, user_id)
);
alter table tinychat.erasures enable row level security;

-- An erased message is a deleted one without body or media_url. Not validated, because every row satisfies the constraint that
-- this one replaces, and looking at all of them takes long.
alter table tinychat.messages drop constraint messages_check;
alter table tinychat.messages add constraint messages_check
    check (deleted_at is not null or case message_type when 'image' then media_url is not null else body is not null end)
    not valid;

-- An erased user's tokens are revoked, and the revocation names the user until the last of them has expired. Null: for ever.
alter table tinychat.token_revocations add expires_at timestamptz;

-- Erasures and deletions leave dead rows behind. By default a fifth of a table must be dead before they are vacuumed.
alter table tinychat.messages set (autovacuum_vacuum_scale_factor = 0.02);
