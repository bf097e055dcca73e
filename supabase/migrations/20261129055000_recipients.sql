-- Webhook endpoints that are told with each new message whom it is for, as push services need it. Recipients aren't part of the
-- outbox: an attempt reads them when it is made (shared/src/webhook/recipients.sql), so their tokens and unread counts are those
-- of that moment, and there are no copies of tokens to be purged.
alter table tinychat.webhook_endpoints add recipients boolean not null default false;

-- All that an attempt needs to know, and whether it has to read the recipients.
create or replace function tinychat.webhook_delivery(d tinychat.webhook_deliveries, w tinychat.webhook_endpoints) returns json
language sql stable
return json_build_object(
    'tenant_id', w.tenant_id,
    'endpoint_id', d.endpoint_id,
    'event_id', d.event_id,
    'url', w.url,
    'secret', w.secret,
    'previous_secret', case when w.previous_secret_until > now() then w.previous_secret end,
    'payload', d.payload,
    'leased_until', d.next_attempt_at,
    'recipients', w.recipients and d.type = 'message.created'
);
