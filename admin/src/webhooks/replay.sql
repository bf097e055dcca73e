-- $1 a tenant  $2 an endpoint, or null for all  $3 an event, or null  $4 the time of the first event, or null
-- Makes events due again. Waiting events become due at once, unless they may be leased. A lease is 20 s long, except
-- after a process has died. A disabled endpoint gets no events.
with chosen as (
    select d.endpoint_id, d.event_id, w.disabled_at is not null as disabled
    from tinychat.webhook_endpoints w
    join tinychat.webhook_deliveries d on d.endpoint_id = w.id
    where w.tenant_id = $1 and ($2 is null or w.id = $2)
        and (d.event_id = $3 or d.created_at >= $4)
        and (w.disabled_at is not null or d.outcome is not null or d.next_attempt_at > now() + interval '20 s')
),
replayed as (
    update tinychat.webhook_deliveries d
    set outcome = null, settled_at = null, attempts = 0, claimed = false, queued_at = now(), next_attempt_at = now()
    from chosen
    where d.endpoint_id = chosen.endpoint_id and d.event_id = chosen.event_id and not chosen.disabled
    returning 1
)
select (select count(*) from replayed) as replayed, (select count(*) from chosen where disabled) as disabled
