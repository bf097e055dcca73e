-- As `immutable`, the function could not be inlined, because its `to_char` is `stable`. Each call started a plan, which took 7 µs:
-- a webhook's event has up to eight of them.
alter function tinychat.iso(timestamptz) stable;
