-- Changes: so that a client that was away can ask for what was sent, edited and deleted since.
--
-- changed_at is null until a message's first edit or deletion, so that sends write no index but those that they always wrote,
-- and nothing has to be filled in here. A conversation's clock is the later of its last_at and its own changed_at: sends move
-- the one, all other changes the other, and no two changes of a conversation have the same time.

alter table tinychat.conversations add changed_at timestamptz;
alter table tinychat.messages add changed_at timestamptz;

-- When a message or a conversation changed last, as the API shows it.
create function tinychat.updated_at(m tinychat.messages) returns timestamptz
language sql immutable
return coalesce(m.changed_at, m.created_at);

create function tinychat.updated_at(c tinychat.conversations) returns timestamptz
language sql immutable
return greatest(c.created_at, c.last_at, c.changed_at);

-- Moves a conversation's clock on for a change that isn't a send, and returns its time. The row stays locked until the change
-- is committed: times are committed in their order, so whoever has seen one has seen all before it.
create function tinychat.tick(conversation_id uuid) returns timestamptz
language plpgsql
as $$
declare
    clock timestamptz;
begin
    update tinychat.conversations c
    set changed_at = greatest(tinychat.now_ms(), tinychat.updated_at(c) + interval '1 ms')
    where c.id = tick.conversation_id
    returning c.changed_at into clock;
    return clock;
end
$$;

-- Functions of the release before this one, and operators, change messages without the clock. These triggers see to it for
-- them, and cost the others nothing.

create function tinychat.changed_without_the_clock() returns trigger
language plpgsql
as $$
begin
    new.changed_at := tinychat.tick(new.conversation_id);
    return new;
end
$$;

create trigger changed_without_the_clock before update of body, media_url, deleted_at on tinychat.messages
    for each row when (new.changed_at is not distinct from old.changed_at)
    execute function tinychat.changed_without_the_clock();

-- A send that knows last_at alone may take a time that an edit has had. It then counts as changed after that edit.
create function tinychat.sent_without_the_clock() returns trigger
language plpgsql
as $$
begin
    new.changed_at := greatest(tinychat.now_ms(), old.changed_at + interval '1 ms');
    update tinychat.messages m
    set changed_at = new.changed_at
    where m.conversation_id = new.id and m.created_at = new.last_at and m.deleted_at is null;
    return new;
end
$$;

create trigger sent_without_the_clock before update of last_at on tinychat.conversations
    for each row when (new.last_at <= old.changed_at)
    execute function tinychat.sent_without_the_clock();

grant update (changed_at) on tinychat.conversations, tinychat.messages to tinychat_functions;
revoke all on all functions in schema tinychat from public;
