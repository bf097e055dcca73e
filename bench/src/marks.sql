-- Records the CPU time that pgbench's backend has used so far, in nanoseconds, as the kernel's scheduler counts it.
create table public.marks (cpu bigint);

create function public.mark() returns void
language sql security definer
begin atomic
    insert into public.marks select split_part(pg_read_file('/proc/self/schedstat'), ' ', 1)::bigint;
end;
