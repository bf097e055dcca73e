-- The conversations in which something has happened since a user has read them, which are few, for `unread=true`.
create index if not exists participants_unread on tinychat.participants
    (tenant_id, user_id, kind, active_at desc, conversation_id)
    where active_at > read_at;
