-- The Supabase CLI's own history table, so that it and this program can take turns on one database.
create schema if not exists supabase_migrations;
create table if not exists supabase_migrations.schema_migrations (
    version text primary key, statements text[], name text
)
