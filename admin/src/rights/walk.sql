-- $1 a tenant  $2 the conversation that was checked last  $3 how many to check  $4 a user, or null  $5 a time
-- Returns the last of the next conversations, null if there are none, and those of them that are the tenant's and have
-- changed since that time. With a user, only those that the user takes part in, has sent a message into, or was named
-- in as a receiver.
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
