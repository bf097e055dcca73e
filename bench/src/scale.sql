-- Closes three of the many conversations of the user u_42, and makes three others unread.
create temporary table few as
select ('c0000000-0000-4000-8000-' || lpad(to_hex(n), 12, '0'))::uuid as id, n % 2 = 0 as closed
from generate_series(10, 15) as n;

update tinychat.conversations c set status = 'closed' from few where c.id = few.id and few.closed;

update tinychat.participants p
set kind = case when few.closed then tinychat.list_of(p.kind, 'closed') else p.kind end,
    read_at = case when few.closed then p.read_at else '-infinity' end
from few
where p.conversation_id = few.id;

update tinychat.messages m set sender_id = 'driver_3' from few where m.conversation_id = few.id and not few.closed;
