-- $1 the conversation that was checked last  $2 how many to check
-- Returns the last of the next conversations, null if there are none, and those of them that have expired messages.
with page as (
    select c.id, c.tenant_id
    from tinychat.conversations c
    where c.id > $1
    order by c.id
    limit $2
)
select
    (select page.id from page order by page.id desc limit 1) as last,
    array(
        select page.id
        from page
        join tinychat.tenants t on t.id = page.tenant_id and t.retention_days is not null
        cross join lateral (
            select
            from tinychat.messages m
            where m.conversation_id = page.id
                and m.id < tinychat.message_id_at(now() - t.retention_days * interval '1 day')
                and m.created_at < now() - t.retention_days * interval '1 day'
            limit 1
        ) expired
        order by page.id
    ) as expired
where exists (select from tinychat.tenants t where t.retention_days is not null)
