-- Tables whose rows are updated at each send. Nothing here rewrites a table or waits for reads and writes: both are notes for
-- pages and vacuums to come.

-- A send moves last_at on, which is in no index: with room left on its page, the new version of the row stays there and no
-- index learns of it (a HOT update). In full pages one update in five has to leave.
alter table tinychat.conversations set (fillfactor = 90);

-- active_at is in an index, so that each send leaves a dead entry there for each participant. Lists step over those until a
-- vacuum removes them. By default that would be when a fifth of all rows is dead, which in a large table is too late.
alter table tinychat.participants set (autovacuum_vacuum_scale_factor = 0.05);
