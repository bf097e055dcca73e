-- $1 a tenant  $2 an endpoint
-- If events are waiting, the endpoint begins as a failing one, so that a single event first shows whether it accepts
-- the others.
update tinychat.webhook_endpoints w
set disabled_at = null, disabled_reason = null, held_until = null, failing_since = null, slowness = 0,
    failures = case
        when exists (select from tinychat.webhook_deliveries d where d.endpoint_id = w.id and d.outcome is null)
            then tinychat.webhook_failure_threshold()
        else 0
    end
where tenant_id = $1 and id = $2
returning id
