-- $1 a tenant  $2 the conversation that was looked at last  $3 how many to look at  $4 a user, or null  $5 a time
-- The last of the next conversations, null if there are none; and those of the tenant's among them that have changed since that
-- time, or of these only those that the user takes part in, has sent something into, or was named in as a receiver.
with page as (
    select c.id, c.tenant_id, tinychat.updated_at(c) as updated_at
    from tinychat.conversations c
    where c.id > $2
    order by c.id
    limit $3
)
select
    (select page.id from page order by page.id desc limit 1) as last,
    array(
        select page.id
        from page
        where page.tenant_id = $1 and page.updated_at >= $5
            and (
                $4 is null
                or exists (
                    select from tinychat.participants p where p.conversation_id = page.id and p.user_id = $4
                )
                or exists (
                    select
                    from tinychat.messages m
                    where m.conversation_id = page.id and (m.sender_id = $4 or m.receiver_id = $4)
                )
            )
        order by page.id
    ) as found
