-- Conversations are open or closed, and who takes part changes.

-- Not valid: existing rows have the default, and needn't be looked at under a lock.
alter table tinychat.conversations
    add status text not null default 'open',
    add constraint conversations_status_check check (status in ('open', 'closed')) not valid,
    add update_id uuid; -- the request that changed it last, so that its second try knows the first one's work

-- The list that a participant's row is in, which `participants.kind` holds: its conversation's kind, and of a closed one that
-- and ` closed`. The indexes that serve lists of one kind thus serve lists of one status, and sends have no more to write.
-- Functions of the release before this one list open conversations only.
create function tinychat.list_of(kind text, status text) returns text
language sql immutable
return case status when 'closed' then kind || ' closed' else kind end;

grant update (status, participants, update_id) on tinychat.conversations to tinychat_functions;
grant update (kind), delete on tinychat.participants to tinychat_functions;
revoke all on all functions in schema tinychat from public;
