//! Links the C start-up code, which calls `main`, and nothing of Rust's std.

fn main() {
    println!("cargo::rustc-link-arg-bins=-lc");
}
