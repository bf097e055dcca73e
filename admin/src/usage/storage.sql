-- $1 the first day, as text  $2 the period's length, as text  $3 a tenant, or null for all  $4 the bucket
-- Supabase keeps a row for each file. A path begins with the tenant's id.
select split_part(o.name, '/', 1) as tenant, sum((o.metadata ->> 'size')::bigint)::bigint as bytes
from storage.objects o
where o.bucket_id = $4 and ($3 is null or o.name like $3 || '/%')
    and o.created_at >= $1::timestamp at time zone 'UTC'
    and o.created_at < ($1::timestamp + $2::interval) at time zone 'UTC'
group by 1
