//! Lays the firmware out; a WebAssembly module needs no layout.

fn main() {
    let root = std::env::var("CARGO_MANIFEST_DIR").unwrap_or_default();
    println!("cargo::rerun-if-changed=memory.ld");
    println!("cargo::rustc-link-arg-bin=firmware=-T{root}/memory.ld");
}
