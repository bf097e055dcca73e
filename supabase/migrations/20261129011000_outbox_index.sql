-- What waits, by endpoint and age: for giving events up, and for the backlog's age.
create index if not exists webhook_deliveries_waiting on tinychat.webhook_deliveries (endpoint_id, queued_at)
    where outcome is null;
