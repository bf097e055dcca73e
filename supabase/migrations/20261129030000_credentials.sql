-- Credentials beside the publishable key: secret keys, which a tenant's backend holds, and user tokens, which it signs for
-- its users.

-- Whether a publishable key alone is refused (GET /v1/config excepted).
alter table tinychat.tenants add tokens_required boolean not null default false;

alter table tinychat.api_keys
    add kind text not null default 'publishable' check (kind in ('publishable', 'secret'));

-- The keys that sign user tokens. A key's id is the `kid` of its tokens. HMAC starts from the secret in two forms, the inner
-- and the outer pad; keeping these saves every verification the work of making them. They are as secret as the key.
create table tinychat.token_keys (
    id uuid primary key,
    tenant_id uuid not null references tinychat.tenants on delete cascade,
    inner_pad bytea not null check (length(inner_pad) = 64),
    outer_pad bytea not null check (length(outer_pad) = 64),
    created_at timestamptz not null default tinychat.now_ms(),
    revoked_at timestamptz
);
create index on tinychat.token_keys (tenant_id);

-- Users whose tokens are invalid if they were issued before a time.
create table tinychat.token_revocations (
    tenant_id uuid not null references tinychat.tenants on delete cascade,
    user_id text not null,
    issued_before timestamptz not null,
    primary key (tenant_id, user_id)
);

alter table tinychat.token_keys enable row level security;
alter table tinychat.token_revocations enable row level security;
grant select on tinychat.token_keys, tinychat.token_revocations to tinychat_functions;
create policy functions on tinychat.token_keys to tinychat_functions using (true);
create policy functions on tinychat.token_revocations to tinychat_functions using (true);

-- Whether `signature` is the HMAC-SHA-256 (RFC 2104) of `input`. Both sides are hashed once more with the key before they are
-- compared, so that the time that the comparison takes says nothing about the right signature.
create function tinychat.is_signed(inner_pad bytea, outer_pad bytea, input bytea, signature bytea) returns boolean
language sql immutable
return sha256(outer_pad || sha256(outer_pad || sha256(inner_pad || input))) = sha256(outer_pad || signature);

-- The look-ups that every route function starts from. Each returns exactly one row. Its `verdict` is `ok` or the reason why
-- not, and its ids are null unless it is `ok`. `credential` is what shared::auth::Credential makes of the request's header:
-- {"hash"} of a key, or {"kid", "input", "signature", "sub", "role", "iat", "exp"} of a token. All are plain SQL, which the
-- planner inlines.

-- Finds the tenant of a credential that is genuine and not revoked. `caller` and `role` are a token's user and role, null for
-- a key. `staff` is true for a token that reaches all conversations of its tenant, `server` for a secret key. `tokens` tells
-- whether user tokens are `off`, `accepted` or `required` at this tenant.
create function tinychat.authenticate(credential jsonb)
returns table (
    verdict text, id uuid, name text, kind text, caller text, role text, staff boolean, server boolean, tokens text
)
language sql stable
as $$
    select
        f.verdict, case when f.verdict = 'ok' then f.id end, f.name, f.kind, f.caller, f.role,
        coalesce(f.role in ('admin', 'support'), false), f.kind = 'secret', f.tokens
    from (
        select
            case
                when t.id is null and given.kid is null then 'invalid_api_key'
                when t.id is null or given.iat > now() + interval '60 s' or given.exp > now() + interval '24 hours 60 s'
                    or given.iat < r.issued_before then 'invalid_user_token'
                when given.exp <= now() - interval '60 s' then 'user_token_expired'
                when t.status = 'active' then 'ok'
                else 'tenant_' || t.status
            end,
            t.id,
            t.name,
            case when given.kid is null then k.kind else 'token' end,
            given.sub,
            given.role,
            case
                when t.tokens_required then 'required'
                when exists (select from tinychat.token_keys l where l.tenant_id = t.id and l.revoked_at is null) then 'accepted'
                else 'off'
            end
        from (
            select
                decode(credential ->> 'hash', 'hex'),
                (credential ->> 'kid')::uuid,
                convert_to(credential ->> 'input', 'UTF8'),
                decode(credential ->> 'signature', 'hex'),
                credential ->> 'sub',
                credential ->> 'role',
                to_timestamp((credential ->> 'iat')::double precision),
                to_timestamp((credential ->> 'exp')::double precision)
        ) given (hash, kid, input, signature, sub, role, iat, exp)
        left join tinychat.api_keys k on k.hash = given.hash and (k.revoked_at is null or k.revoked_at > now())
        left join tinychat.token_keys s
            on s.id = given.kid and (s.revoked_at is null or s.revoked_at > now())
            and tinychat.is_signed(s.inner_pad, s.outer_pad, given.input, given.signature)
        left join tinychat.tenants t on t.id = coalesce(k.tenant_id, s.tenant_id)
        left join tinychat.token_revocations r on r.tenant_id = s.tenant_id and r.user_id = given.sub
    ) f (verdict, id, name, kind, caller, role, tokens)
$$;

-- The same for all that a publishable key may not do where tokens are required.
create function tinychat.tenant(credential jsonb)
returns table (verdict text, id uuid, caller text, role text, staff boolean, server boolean, tokens text)
language sql stable
as $$
    select
        case when a.kind = 'publishable' and a.tokens = 'required' then 'user_token_required' else a.verdict end,
        case when a.kind = 'publishable' and a.tokens = 'required' then null else a.id end,
        a.caller, a.role, a.staff, a.server, a.tokens
    from tinychat.authenticate(credential) a
$$;

-- Finds a conversation of the caller's tenant. To a token's user, unless staff, others' conversations don't exist.
create function tinychat.conversation(credential jsonb, conversation_id uuid)
returns table (
    verdict text, tenant_id uuid, id uuid, caller text, role text, staff boolean, server boolean, tokens text
)
language sql stable
as $$
    select
        case when t.verdict = 'ok' and c.id is null then 'conversation_not_found' else t.verdict end,
        t.id, c.id, t.caller, t.role, t.staff, t.server, t.tokens
    from tinychat.tenant(credential) t
    left join tinychat.conversations c
        on c.id = conversation.conversation_id and c.tenant_id = t.id
        and (
            t.caller is null or t.staff
            or exists (select from tinychat.participants p where p.conversation_id = c.id and p.user_id = t.caller)
        )
$$;

-- What the last release calls knows publishable keys only.
create or replace function tinychat.tenant(key_hash bytea)
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
    left join (tinychat.api_keys k join tinychat.tenants t on t.id = k.tenant_id and not t.tokens_required)
        on k.hash = given.hash and k.kind = 'publishable' and (k.revoked_at is null or k.revoked_at > now())
$$;
revoke all on all functions in schema tinychat from public;
