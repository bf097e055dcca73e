-- Records the outcomes of attempts, and holds or disables endpoints that fail.
create function tinychat_api.record_attempts(
    p_attempts json -- see `Attempt`
)
returns table (
    dead bigint, -- events that became dead letters
    disabled bigint -- endpoints that were disabled
)
language plpgsql
as $$
begin
    return query
    with attempts as (
        select *, coalesce(status between 200 and 299, false) as delivered
        from json_to_recordset(p_attempts) as a (
            endpoint_id uuid, event_id uuid, leased_until timestamptz, made boolean, late boolean, status integer,
            latency_ms integer, response text
        )
    ),
    -- Rows are locked in order, so that two runs can't deadlock.
    before as (
        select a.*, d.attempts
        from attempts a
        join tinychat.webhook_deliveries d on d.endpoint_id = a.endpoint_id and d.event_id = a.event_id
        order by d.endpoint_id, d.event_id
        for update of d
    ),
    -- After its lease has ended, a process may still record a success, but not a failure: by then another one makes
    -- the attempts.
    recorded as (
        update tinychat.webhook_deliveries d
        set
            attempts = d.attempts + a.made::integer,
            claimed = false,
            outcome = next.outcome,
            settled_at = case when next.outcome is not null then now() end,
            next_attempt_at = now() + coalesce(next.pause, interval '0'),
            last_attempt_at = case when a.made then now() else d.last_attempt_at end,
            last_status = case when a.made then a.status else d.last_status end,
            last_latency_ms = case when a.made then a.latency_ms else d.last_latency_ms end,
            -- An erasure ends the leases of the events that it changes: the response may contain what is erased.
            last_answer = case
                when not a.made then d.last_answer
                when d.next_attempt_at = a.leased_until then a.response
            end
        from before a
        cross join lateral (
            select (array[5, 30, 120, 600, 3600, 21600, 86400])[a.attempts + 1] as seconds
        ) backoff
        cross join lateral (
            select
                case
                    when not a.made then null
                    when a.delivered then 'delivered'
                    when a.status = 410 or backoff.seconds is null then 'dead'
                end as outcome,
                case when a.made then backoff.seconds * (0.9 + 0.2 * random()) * interval '1 s' end as pause
        ) next
        where d.endpoint_id = a.endpoint_id and d.event_id = a.event_id and d.outcome is null
            and (a.delivered or d.next_attempt_at = a.leased_until)
        returning d.endpoint_id, d.outcome, a.made, a.delivered, a.late, a.status
    ),
    results as (
        select endpoint_id,
            count(*) filter (where made and not delivered) as failures,
            bool_or(made and delivered) as delivered,
            coalesce(bool_or(status = 410), false) as gone,
            count(*) filter (where late) as late,
            count(*) filter (where made and not late) as prompt
        from recorded
        where made or late
        group by endpoint_id
    ),
    -- An endpoint's row changes only if it fails or is late, or did so before. If the row is locked, by another run or by
    -- an operator, this one doesn't wait for it: later attempts will change it in the same way.
    noted as (
        select e.id, results.delivered, results.gone, e.held_until > now() as on_hold, e.disabled_at is null as enabled,
            e.failing_since < now() - interval '5 days' as for_days,
            least(e.failures + results.failures, greatest(tinychat.webhook_failure_threshold(), e.failures + 1)) as failures,
            greatest(least(e.slowness + 4 * results.late, 40) - results.prompt, 0) as slowness
        from results
        join tinychat.webhook_endpoints e on e.id = results.endpoint_id
        where results.failures > 0 or results.late > 0 or e.failures > 0 or e.slowness > 0
        order by e.id
        for update of e skip locked
    ),
    noting as (
        update tinychat.webhook_endpoints e
        set
            slowness = n.slowness,
            failures = case when n.delivered then 0 when n.on_hold then e.failures else n.failures end,
            failing_since = case when n.delivered or n.failures = 0 then null else coalesce(e.failing_since, now()) end,
            held_until = case
                when n.delivered then null
                when n.on_hold then e.held_until
                when n.failures >= tinychat.webhook_failure_threshold() then now()
                    + least(600, 5 * 2 ^ least(n.failures - tinychat.webhook_failure_threshold(), 10)) * (0.9 + 0.2 * random()) * interval '1 s'
            end,
            disabled_at = case when off.reason is not null then coalesce(e.disabled_at, now()) else e.disabled_at end,
            disabled_reason = coalesce(off.reason, e.disabled_reason)
        from noted n
        cross join lateral (
            select case
                when n.gone then 'answered 410 Gone'
                when n.enabled and n.for_days and not n.delivered and n.failures >= tinychat.webhook_failure_threshold()
                    then 'failed for five days'
            end as reason
        ) off
        where e.id = n.id
        returning n.enabled and e.disabled_at is not null as disabled
    )
    select
        (select count(*) from recorded where outcome = 'dead') as dead,
        (select count(*) from noting where noting.disabled) as disabled;
end
$$;
