-- $1 the migration's version  $2 its text  $3 its name
insert into supabase_migrations.schema_migrations (version, statements, name) values ($1, array[$2], $3)
