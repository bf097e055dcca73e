-- Private Realtime channels for participants only, at tenants that require user tokens. GET /v1/config answers a user token
-- with a JWT for Realtime, whose claim `tinychat` names tenant and user. Realtime evaluates the policy when a channel is
-- joined and when a client sends a new JWT.

-- Whether the caller of Realtime may listen to a topic. It runs as its owner, because Realtime's roles can't read
-- TinyChat's tables, and says no more than yes or no: yes for what names no conversation, as before.
create function tinychat.may_listen(topic text) returns boolean
language plpgsql stable security definer
set search_path = ''
as $$
declare
    claims jsonb := nullif(current_setting('request.jwt.claims', true), '')::jsonb -> 'tinychat';
    conversation uuid := substring(topic from '^conv:([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$');
begin
    return topic like 'conv:%' and coalesce(
        (
            select
                not t.tokens_required
                or coalesce(claims ->> 'tenant' = t.id::text, false) and (
                    coalesce(claims -> 'staff' = 'true', false)
                    or exists (
                        select from tinychat.participants p
                        where p.conversation_id = c.id and p.user_id = claims ->> 'user'
                    )
                )
            from tinychat.conversations c
            join tinychat.tenants t on t.id = c.tenant_id
            where c.id = conversation
        ),
        true
    );
end
$$;
revoke all on function tinychat.may_listen from public, tinychat_functions;

do $$
begin
    if to_regclass('realtime.messages') is not null then
        grant execute on function tinychat.may_listen to anon, authenticated;
        drop policy if exists "TinyChat: listen to conversations" on realtime.messages;
        create policy "TinyChat: listen to conversations" on realtime.messages
            for select to anon, authenticated
            using (extension = 'broadcast' and (select tinychat.may_listen((select realtime.topic()))));
    end if;
end
$$;
