-- The replies to a message, which lose their link when it is removed. The foreign key looks for them, too, at each deletion.
create index if not exists messages_replies on tinychat.messages (conversation_id, reply_to)
    where reply_to is not null;
