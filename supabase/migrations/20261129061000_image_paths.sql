-- Images are removed with the last message that names them, and messages name them by URL.

-- The path of an upload in the bucket, <tenant>/<conversation>/<random>.<extension>, wherever in a URL it is; null where there is none.
create function tinychat.image_path(url text) returns text
language sql immutable
return substring(url from '[0-9a-f]{8}-[0-9a-f-]{27}/[0-9a-f]{8}-[0-9a-f-]{27}/[A-Za-z0-9._-]+');

revoke all on function tinychat.image_path(text) from public;
