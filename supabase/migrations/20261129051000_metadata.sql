-- Messages carry metadata, and the tenant's backend sends system messages, which have a text as users' have.

-- Not valid: rows that there are fulfil what the constraints said before, and needn't be looked at under a lock.
alter table tinychat.messages
    add metadata jsonb,
    drop constraint messages_message_type_check,
    add constraint messages_message_type_check check (message_type in ('text', 'image', 'system')) not valid,
    drop constraint messages_check,
    add constraint messages_check check (
        case message_type when 'image' then media_url is not null else body is not null end
    ) not valid;

-- As before, with metadata and client_message_id where they were set.
create or replace function tinychat.message_json(m tinychat.messages) returns json
language sql stable
return (
    jsonb_build_object(
        'id', m.id,
        'conversation_id', m.conversation_id,
        'sender_id', m.sender_id,
        'body', case when m.deleted_at is null then m.body end,
        'message_type', m.message_type,
        'media_url', case when m.deleted_at is null then m.media_url end,
        'reply_to', m.reply_to,
        'created_at', tinychat.iso(m.created_at),
        'updated_at', tinychat.iso(tinychat.updated_at(m)),
        'edited_at', tinychat.iso(m.edited_at),
        'deleted_at', tinychat.iso(m.deleted_at),
        'receiver_id', m.receiver_id
    )
    || case
        when m.client_message_id is null then '{}'
        else jsonb_build_object('client_message_id', m.client_message_id)
    end
    || case
        when m.metadata is null or m.deleted_at is not null then '{}'
        else jsonb_build_object('metadata', m.metadata)
    end
)::json;
revoke all on all functions in schema tinychat from public;
