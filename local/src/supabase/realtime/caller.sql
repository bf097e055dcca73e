-- $1 a role  $2 a topic  $3 the claims of a JWT
-- Makes the rest of the transaction act for a caller, as the policies see it.
select
    set_config('role', $1, true), set_config('realtime.topic', $2, true), set_config('request.jwt.claims', $3, true)
