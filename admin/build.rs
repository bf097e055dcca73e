//! Builds anew when a migration is added: `include_dir` alone tells cargo of no new file.

fn main() {
    println!("cargo::rerun-if-changed=../supabase/migrations");
}
