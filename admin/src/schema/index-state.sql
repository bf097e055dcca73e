-- $1 an index
-- Whether it is complete, and whether another run is building it. No row if there is no such index.
select i.indisvalid as valid, p.pid is not null as in_progress
from pg_index i
left join pg_stat_progress_create_index p on p.index_relid = i.indexrelid
where i.indexrelid = to_regclass($1)
