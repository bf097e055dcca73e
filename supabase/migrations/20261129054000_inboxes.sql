-- Inbox channels: a Realtime channel for each user, `user:<users.id>`, on which the user's list of conversations hears of all of
-- them. They are for deployments with RealtimeInbox.

-- The users whose inbox channels hear of a conversation: its participants who have a row, unless there are more than 20 of
-- them, and `also`, who were participants until now. In plpgsql, whose plan is kept.
create function tinychat.inboxes(conversation_id uuid, also text[] default '{}') returns uuid[]
language plpgsql stable
as $$
begin
    return (
        select array_agg(u.id)
        from tinychat.conversations c
        join tinychat.users u on u.tenant_id = c.tenant_id and u.user_id = any (c.participants || also)
        where c.id = inboxes.conversation_id and cardinality(c.participants) <= 20
    );
end
$$;
revoke all on function tinychat.inboxes from public;

-- Whether the caller of Realtime may listen to a topic. It runs as its owner, because Realtime's roles can't read TinyChat's
-- tables, and says no more than yes or no. For what names no conversation the answer is yes, as before; for what names no user
-- it is no. Where user tokens are required, a user's inbox channel is open to that user alone: staff have inboxes of their own.
create or replace function tinychat.may_listen(topic text) returns boolean
language plpgsql stable security definer
set search_path = ''
as $$
declare
    claims jsonb := nullif(current_setting('request.jwt.claims', true), '')::jsonb -> 'tinychat';
    named uuid := substring(topic from '^(?:conv|user):([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$');
begin
    if topic like 'user:%' then
        return exists (
            select
            from tinychat.users u
            join tinychat.tenants t on t.id = u.tenant_id
            where u.id = named
                and (not t.tokens_required or (claims ->> 'tenant' = t.id::text and claims ->> 'user' = u.user_id))
        );
    end if;
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
            where c.id = named
        ),
        true
    );
end
$$;
