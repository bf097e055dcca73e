-- A conversation's edits and deletions in their order. A file that is one `create index if not exists` is built concurrently by
-- `tinychat migrate`, which locks nobody out.
create index if not exists messages_changes on tinychat.messages (conversation_id, changed_at)
    where changed_at is not null;
