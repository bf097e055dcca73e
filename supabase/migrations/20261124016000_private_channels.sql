-- Private Realtime channels, for deployments with RealtimePrivate: the public key may listen to conversations. It may not
-- send, for there is no policy that lets it insert, so what is heard there comes from the functions. A plain Postgres
-- without Supabase's Realtime has nothing to be opened.

do $$
begin
    if to_regclass('realtime.messages') is not null then
        create policy "TinyChat: listen to conversations" on realtime.messages
            for select to anon, authenticated
            using (extension = 'broadcast' and (select realtime.topic()) like 'conv:%');
    end if;
end
$$;
