// supabase-js is loaded as a script; this makes it the module that the client imports.
export const { createClient } = window.supabase;
