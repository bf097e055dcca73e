-- Webhooks show updated_at, too: two lines more in tinychat.record_event, whose text is otherwise as it was.
do $$
declare
    before text := pg_get_functiondef('tinychat.record_event'::regproc);
    after text := replace(
        replace(
            before,
            $line$'created_at', tinychat.iso(m.created_at),$line$,
            $line$'created_at', tinychat.iso(m.created_at), 'updated_at', tinychat.iso(tinychat.updated_at(m)),$line$
        ),
        $line$'last_at', tinychat.iso(c.last_at)$line$,
        $line$'last_at', tinychat.iso(c.last_at), 'updated_at', tinychat.iso(tinychat.updated_at(c))$line$
    );
begin
    if length(after) - length(before) < 100 then
        raise exception 'tinychat.record_event isn''t what this migration knows';
    end if;
    execute after;
end
$$;
