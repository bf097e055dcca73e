-- One look-up, in steps. Each step is a look-up by a unique key, and later steps run only if they are needed. A single statement
-- for all of them joins more tables than most requests need, and starting and ending its plan takes longer than the steps.

-- Checks a credential, and finds its tenant and the conversation with this id that the credential's user may see. `verdict` is
-- `ok` or the reason for a refusal. Unless the credential is accepted, `tenant_id` is null; unless the verdict is `ok`,
-- `conversation_id` is null. `caller` and `role` are a token's user and role, null for keys. `staff` is true for a token that
-- reaches all conversations of its tenant, `server` for a secret key. `tokens` tells whether the tenant's user tokens are `off`,
-- `accepted` or `required`. `credential` is the JSON that shared::auth::Credential makes of the request's header: {"hash"} of a
-- key, or {"kid", "input", "signature", "sub", "role", "iat", "exp"} of a token. `any_key` accepts a publishable key even where
-- user tokens are required.
--
-- Assign it to a record. `select … into … from` takes twice as long, because it starts a plan.
create function tinychat.check_access(
    credential jsonb,
    conversation uuid default null,
    any_key boolean default false,
    out verdict text, out tenant_id uuid, out tenant_name text, out conversation_id uuid, out status text, out caller text,
    out role text, out staff boolean, out server boolean, out tokens text
)
language plpgsql stable
as $$
declare
    tenant record;
    issued_at timestamptz;
    expires_at timestamptz;
begin
    staff := false;
    server := false;
    if credential ? 'hash' then
        select t.id, t.name, t.status, t.tokens_required, t.has_token_keys, k.kind into tenant
        from tinychat.api_keys k
        join tinychat.tenants t on t.id = k.tenant_id
        where k.hash = decode(credential ->> 'hash', 'hex') and (k.revoked_at is null or k.revoked_at > now());
        if not found then
            verdict := 'invalid_api_key';
            return;
        end if;
        server := tenant.kind = 'secret';
    else
        issued_at := to_timestamp((credential ->> 'iat')::double precision);
        expires_at := to_timestamp((credential ->> 'exp')::double precision);
        select t.id, t.name, t.status, t.tokens_required, t.has_token_keys, k.inner_pad, k.outer_pad into tenant
        from tinychat.token_keys k
        join tinychat.tenants t on t.id = k.tenant_id
        where k.id = (credential ->> 'kid')::uuid and (k.revoked_at is null or k.revoked_at > now());
        if not found
            or not tinychat.is_signed(
                tenant.inner_pad, tenant.outer_pad,
                convert_to(credential ->> 'input', 'UTF8'), decode(credential ->> 'signature', 'hex')
            )
            or issued_at > now() + interval '60 s' or expires_at > now() + interval '24 hours 60 s'
        then
            verdict := 'invalid_user_token';
            return;
        end if;
        perform
        from tinychat.token_revocations r
        where r.tenant_id = tenant.id and r.user_id = credential ->> 'sub' and r.issued_before > issued_at;
        if found then
            verdict := 'invalid_user_token';
            return;
        end if;
        if expires_at <= now() - interval '60 s' then
            verdict := 'user_token_expired';
            return;
        end if;
        caller := credential ->> 'sub';
        role := credential ->> 'role';
        staff := coalesce(role in ('admin', 'support'), false);
    end if;
    if tenant.status <> 'active' then
        verdict := 'tenant_' || tenant.status;
        return;
    end if;
    if tenant.tokens_required and caller is null and not server and not any_key then
        verdict := 'user_token_required';
        return;
    end if;
    verdict := 'ok';
    tenant_id := tenant.id;
    tenant_name := tenant.name;
    tokens := case when tenant.tokens_required then 'required' when tenant.has_token_keys then 'accepted' else 'off' end;
    if conversation is not null then
        select c.id, c.status into conversation_id, status
        from tinychat.conversations c
        where c.id = conversation and c.tenant_id = tenant.id;
        if found and caller is not null and not staff then
            perform from tinychat.participants p where p.conversation_id = conversation and p.user_id = caller;
        end if;
        if not found then
            verdict := 'conversation_not_found';
            conversation_id := null;
            status := null;
        end if;
    end if;
end
$$;
revoke all on all functions in schema tinychat from public;
grant execute on function tinychat.check_access to tinychat_functions;

-- tinychat.authenticate, tenant, conversation and identify are called by the last release only.
