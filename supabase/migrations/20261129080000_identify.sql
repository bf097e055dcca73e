-- Credentials are looked up by one statement for each kind of credential. A statement for all kinds joins the tables of all, and
-- starting such a plan takes longer than everything else that a short route does.

-- Whether the tenant's users may have tokens: kept here by a trigger, so that requests needn't look for token keys.
alter table tinychat.tenants add has_token_keys boolean not null default false;

create function tinychat.note_token_keys() returns trigger
language plpgsql security definer
set search_path = ''
as $$
begin
    update tinychat.tenants t
    set has_token_keys = exists (select from tinychat.token_keys k where k.tenant_id = t.id and k.revoked_at is null)
    where t.id = coalesce(new.tenant_id, old.tenant_id);
    return null;
end
$$;
create trigger note_token_keys after insert or update or delete on tinychat.token_keys
for each row execute function tinychat.note_token_keys();

update tinychat.tenants t set has_token_keys = true
where exists (select from tinychat.token_keys k where k.tenant_id = t.id and k.revoked_at is null);

-- Finds the tenant of a credential that is genuine and not revoked, and the conversation with this id that the credential's user
-- may see. Returns exactly one row. `conversation` is null if there is none, and so is everything else if the credential is
-- unknown. `credential` is the JSON that shared::auth::Credential makes of the request's header: {"hash"} of a key, or {"kid",
-- "input", "signature", "sub", "role", "iat", "exp"} of a token.
create function tinychat.identify(credential jsonb, conversation_id uuid)
returns table (
    verdict text, tenant uuid, tenant_name text, kind text, caller text, role text, tokens text, conversation uuid, status text
)
language plpgsql stable
as $$
begin
    if credential ? 'hash' then
        return query
            select
                case t.status when 'active' then 'ok' else 'tenant_' || t.status end,
                t.id, t.name, k.kind, null::text, null::text,
                case when t.tokens_required then 'required' when t.has_token_keys then 'accepted' else 'off' end,
                c.id, c.status
            from tinychat.api_keys k
            join tinychat.tenants t on t.id = k.tenant_id
            left join tinychat.conversations c on c.id = identify.conversation_id and c.tenant_id = t.id
            where k.hash = decode(credential ->> 'hash', 'hex') and (k.revoked_at is null or k.revoked_at > now());
        verdict := 'invalid_api_key';
    else
        return query
            select
                case
                    when given.iat > now() + interval '60 s' or given.exp > now() + interval '24 hours 60 s'
                        or given.iat < r.issued_before then 'invalid_user_token'
                    when given.exp <= now() - interval '60 s' then 'user_token_expired'
                    when t.status = 'active' then 'ok'
                    else 'tenant_' || t.status
                end,
                t.id, t.name, 'token', given.sub, given.role,
                case when t.tokens_required then 'required' when t.has_token_keys then 'accepted' else 'off' end,
                c.id, c.status
            from (
                select
                    credential ->> 'sub',
                    credential ->> 'role',
                    to_timestamp((credential ->> 'iat')::double precision),
                    to_timestamp((credential ->> 'exp')::double precision)
            ) given (sub, role, iat, exp)
            join tinychat.token_keys s
                on s.id = (credential ->> 'kid')::uuid and (s.revoked_at is null or s.revoked_at > now())
                and tinychat.is_signed(
                    s.inner_pad, s.outer_pad,
                    convert_to(credential ->> 'input', 'UTF8'), decode(credential ->> 'signature', 'hex')
                )
            join tinychat.tenants t on t.id = s.tenant_id
            left join tinychat.token_revocations r on r.tenant_id = t.id and r.user_id = given.sub
            left join tinychat.conversations c
                on c.id = identify.conversation_id and c.tenant_id = t.id
                and (
                    given.role in ('admin', 'support')
                    or exists (select from tinychat.participants p where p.conversation_id = c.id and p.user_id = given.sub)
                );
        verdict := 'invalid_user_token';
    end if;
    if not found then
        return next;
    end if;
end
$$;

-- The look-ups that every route function starts from. Each returns exactly one row. Its `verdict` is `ok` or the reason for a
-- refusal, and its ids are null unless the verdict is `ok`. `caller` and `role` are a token's user and role, null for keys.
create or replace function tinychat.authenticate(credential jsonb)
returns table (
    verdict text, id uuid, name text, kind text, caller text, role text, staff boolean, server boolean, tokens text
)
language sql stable
as $$
    select
        i.verdict, case when i.verdict = 'ok' then i.tenant end, i.tenant_name, i.kind, i.caller, i.role,
        coalesce(i.role in ('admin', 'support'), false), coalesce(i.kind = 'secret', false), i.tokens
    from tinychat.identify(credential, null) i
$$;

-- Finds a conversation of the caller's tenant. To a token's user, unless staff, conversations of others don't exist.
drop function tinychat.conversation(jsonb, uuid);
create function tinychat.conversation(credential jsonb, conversation_id uuid)
returns table (
    verdict text, tenant_id uuid, id uuid, caller text, role text, staff boolean, server boolean, tokens text, status text
)
language sql stable
as $$
    select
        case
            when i.verdict <> 'ok' then i.verdict
            when i.kind = 'publishable' and i.tokens = 'required' then 'user_token_required'
            when i.conversation is null then 'conversation_not_found'
            else 'ok'
        end,
        case when i.verdict = 'ok' and not (i.kind = 'publishable' and i.tokens = 'required') then i.tenant end,
        case when i.verdict = 'ok' and not (i.kind = 'publishable' and i.tokens = 'required') then i.conversation end,
        i.caller, i.role, coalesce(i.role in ('admin', 'support'), false), coalesce(i.kind = 'secret', false), i.tokens,
        i.status
    from tinychat.identify(credential, conversation_id) i
$$;
revoke all on all functions in schema tinychat from public;
