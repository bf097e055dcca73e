select json_build_object(
    'endpoint_id', w.id, 'url', w.url, 'tenant', t.name, 'disabled', w.disabled_reason,
    'event_id', d.event_id, 'type', d.type, 'created_at', tinychat.iso(d.created_at), 'payload', d.payload,
    'outcome', d.outcome, 'attempts', d.attempts, 'status', d.last_status, 'latency_ms', d.last_latency_ms,
    'answer', d.last_answer, 'next_attempt_at', tinychat.iso(d.next_attempt_at)
)::text
from tinychat.webhook_deliveries d
join tinychat.webhook_endpoints w on w.id = d.endpoint_id
join tinychat.tenants t on t.id = w.tenant_id
order by d.created_at desc, d.event_id desc
limit 100
