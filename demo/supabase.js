// supabase-js, which the page loads as a script, as the module that the client imports.
export const { createClient } = window.supabase;
