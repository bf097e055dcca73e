-- $1 a tenant  $2 conversations. Existing ones stay unchanged and are locked, because messages may be added to them.
with given as (
    select *
    from json_to_recordset($2) as g (
        id uuid, kind text, external_ref text, participants text[], status text, read_at json,
        created_at timestamptz, last_at timestamptz, changed_at timestamptz
    )
),
locked as (
    select c.id
    from given g
    join tinychat.conversations c on c.id = g.id and c.tenant_id = $1
    order by c.id
    for no key update of c
),
stored as (
    insert into tinychat.conversations
        (id, tenant_id, kind, external_ref, participants, status, created_at, last_at, changed_at)
    select g.id, $1, g.kind, g.external_ref, g.participants, g.status, g.created_at, g.last_at, g.changed_at
    from given g
    where g.id not in (select locked.id from locked)
    returning id
),
taking_part as (
    insert into tinychat.participants (conversation_id, user_id, tenant_id, kind, active_at, read_at)
    select g.id, p.user_id, $1, tinychat.list_of(g.kind, g.status), coalesce(g.last_at, g.created_at),
        coalesce((g.read_at ->> p.user_id)::timestamptz, tinychat.now_ms())
    from stored
    join given g on g.id = stored.id
    cross join unnest(g.participants) as p (user_id)
)
select from stored
