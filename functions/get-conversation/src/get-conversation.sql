-- A conversation with its participants in their order.
create function tinychat_api.get_conversation(p_credential jsonb, p_conversation_id uuid)
returns table (
    verdict text, id uuid, tenant_id uuid, kind text, external_ref text, participants text[], status text, last_message text,
    last_at timestamptz, updated_at timestamptz, members json
)
language plpgsql stable
as $$
declare
    access record;
begin
    access := tinychat.check_access(p_credential, p_conversation_id);
    if access.verdict <> 'ok' then
        verdict := access.verdict;
        tenant_id := access.tenant_id;
        return next;
        return;
    end if;
    return query
        select
            access.verdict, c.id, c.tenant_id, c.kind, c.external_ref, c.participants, c.status, latest.last_message,
            c.last_at, tinychat.updated_at(c),
            (
                select json_agg(
                    json_build_object('user_id', p.user_id, 'name', u.name, 'role', u.role, 'read_at', tinychat.iso(p.read_at))
                    order by place.n
                )
                from unnest(c.participants) with ordinality as place (user_id, n)
                join tinychat.participants p on p.conversation_id = c.id and p.user_id = place.user_id
                left join tinychat.users u on u.tenant_id = c.tenant_id and u.user_id = place.user_id
            )
        from tinychat.conversations c
        left join lateral tinychat.preview(c.id) latest on true
        where c.id = access.conversation_id;
end
$$;
