-- Creates a token key of the demo tenant, whose secret is 64 zero bytes, and returns a token for each user that the
-- requests name. Computes HMAC-SHA-256 as RFC 2104 defines it, and base64url as RFC 4648 defines it.
with key as (
    insert into tinychat.token_keys (id, tenant_id, inner_pad, outer_pad)
    values (
        gen_random_uuid(), '11111111-2222-4333-8444-555555555555',
        decode(repeat('36', 64), 'hex'), decode(repeat('5c', 64), 'hex')
    )
    returning *
),
input as (
    select
        u.user_id, key.inner_pad, key.outer_pad,
        translate(
            encode(convert_to(json_build_object('alg', 'HS256', 'typ', 'JWT', 'kid', key.id)::text, 'UTF8'), 'base64')
            || '.' || encode(convert_to(json_build_object(
                'sub', u.user_id,
                'iat', extract(epoch from now())::bigint,
                'exp', extract(epoch from now() + interval '12 hours')::bigint
            )::text, 'UTF8'), 'base64'),
            E'+/=\n', '-_'
        ) as text
    from key, (values ('u_42'), ('driver_3')) as u (user_id)
)
select
    user_id,
    text || '.' || translate(
        encode(sha256(outer_pad || sha256(inner_pad || convert_to(text, 'UTF8'))), 'base64'), E'+/=\n', '-_'
    ) as token
from input
