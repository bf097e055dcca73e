-- $1 a tenant  $2 conversations. Returns their faults against the database.
select g.line,
    case
        when c.tenant_id <> $1 then 'id is that of another tenant''s conversation; --new-ids gives the file''s conversations new ids'
        when c.id is not null then 'id is that of a conversation with another kind or external_ref'
        else 'external_ref is that of another conversation'
    end as fault
from json_to_recordset($2) as g (line bigint, id uuid, kind text, external_ref text)
left join tinychat.conversations c on c.id = g.id
left join tinychat.conversations e
    on e.tenant_id = $1 and e.kind = g.kind and e.external_ref = g.external_ref and e.id <> g.id
where c.tenant_id <> $1 or (c.kind, c.external_ref) is distinct from (g.kind, g.external_ref) and c.id is not null
    or e.id is not null
order by g.line
