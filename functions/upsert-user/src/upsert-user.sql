-- Makes a user known, or brings what is known up to date. A null wasn't given: it keeps what is stored, or takes its
-- default in a new row.
create function tinychat_api.upsert_user(
    p_key_hash bytea,
    p_id uuid, -- for a new row
    p_user_id text,
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
    tenant record;
begin
    select * into tenant from tinychat.tenant(p_key_hash);
    if tenant.verdict <> 'ok' then
        verdict := tenant.verdict;
        return next;
        return;
    end if;

    return query
        insert into tinychat.users as stored
            (id, tenant_id, user_id, name, email, role, fcm_tokens, notification_prefs, last_seen_at)
        values (
            p_id, tenant.id, p_user_id, p_name, p_email, coalesce(p_role, 'customer'), coalesce(p_fcm_tokens, '{}'),
            coalesce(p_notification_prefs, '{}'), tinychat.now_ms()
        )
        on conflict on constraint users_tenant_id_user_id_key do update set
            name = coalesce(p_name, stored.name),
            email = coalesce(p_email, stored.email),
            role = coalesce(p_role, stored.role),
            fcm_tokens = coalesce(p_fcm_tokens, stored.fcm_tokens),
            notification_prefs = coalesce(p_notification_prefs, stored.notification_prefs),
            last_seen_at = excluded.last_seen_at
        returning
            tenant.verdict, stored.id, stored.tenant_id, stored.user_id, stored.name, stored.email, stored.role,
            stored.fcm_tokens, stored.notification_prefs, stored.last_seen_at;
end
$$;
