-- Creates a user or updates the stored one. A null argument keeps the stored value, or takes the default in a new row.
-- With a user token, the role is the token's.
create function tinychat_api.upsert_user(
    p_credential jsonb,
    p_id uuid, -- for a new row
    p_user_id text, -- null: the caller
    p_name text,
    p_email text,
    p_role text,
    p_fcm_tokens text[],
    p_notification_prefs jsonb
)
returns table (
    verdict text, id uuid, tenant_id uuid, user_id text, name text, email text, role text, fcm_tokens text[],
    notification_prefs jsonb, last_seen_at timestamptz
)
language plpgsql
as $$
declare
    access record;
    given_role text;
begin
    access := tinychat.check_access(p_credential);
    verdict := case
        when access.verdict = 'ok' and p_user_id <> access.caller then 'user_not_caller'
        else access.verdict
    end;
    if verdict <> 'ok' then
        return next;
        return;
    end if;

    given_role := case when access.caller is null then p_role else access.role end;
    return query
        insert into tinychat.users as stored
            (id, tenant_id, user_id, name, email, role, fcm_tokens, notification_prefs, last_seen_at)
        values (
            p_id, access.tenant_id, coalesce(p_user_id, access.caller), p_name, p_email, coalesce(given_role, 'customer'),
            coalesce(p_fcm_tokens, '{}'), coalesce(p_notification_prefs, '{}'), tinychat.now_ms()
        )
        on conflict on constraint users_tenant_id_user_id_key do update set
            name = coalesce(p_name, stored.name),
            email = coalesce(p_email, stored.email),
            role = coalesce(given_role, stored.role),
            fcm_tokens = coalesce(p_fcm_tokens, stored.fcm_tokens),
            notification_prefs = coalesce(p_notification_prefs, stored.notification_prefs),
            last_seen_at = excluded.last_seen_at
        returning
            verdict, stored.id, stored.tenant_id, stored.user_id, stored.name, stored.email, stored.role,
            stored.fcm_tokens, stored.notification_prefs, stored.last_seen_at;
end
$$;
