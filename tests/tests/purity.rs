//! The core stays pure: nothing below it, and nothing in it, can open a socket, read a clock, draw a random number or depend on the
//! order of a hash map. No requirement asks for this; it is a rule of this project.

use std::{collections::BTreeSet, env, fs, path::PathBuf, process::Command};

use verification::sources::{rust_files, workspace};

/// Crates that act: runtimes, sources of randomness and time, bindings to a system.
const FORBIDDEN_CRATES: &[&str] = &[
    "async-executor",
    "async-io",
    "async-std",
    "aws-lc-rs",
    "aws-lc-sys",
    "chrono",
    "futures",
    "getrandom",
    "jiff",
    "mio",
    "openssl-sys",
    "parking_lot",
    "rand",
    "ring",
    "rustix",
    "rustls",
    "smol",
    "socket2",
    "time",
    "tokio",
    "web-time",
];

/// Features by which a crate would bring std, and what it does with it.
const FORBIDDEN_FEATURES: &[&str] = &["getrandom", "js", "os_rng", "std", "sys_rng", "thread_rng", "wasm_js", "wasm-bindgen"];

/// Words that have no place in the core's code.
const FORBIDDEN_WORDS: &[&str] =
    &["HashMap", "HashSet", "RandomState", "SystemTime", "async", "await", "getrandom", "std", "thread_local", "tokio", "unsafe"];

fn core_dir() -> PathBuf {
    workspace().join("proto-core")
}

/// What the core links, each as `name version …|feature,feature`, on whatever target.
fn dependencies() -> String {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let manifest = core_dir().join("Cargo.toml");
    let tree = Command::new(cargo)
        .args(["tree", "--edges", "normal", "--prefix", "none", "--target", "all", "--format", "{p}|{f}"])
        .args(["--locked", "--manifest-path"])
        .arg(manifest)
        .output()
        .expect("cargo runs");
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    String::from_utf8(tree.stdout).expect("crate names are text")
}

fn forbidden_crates(tree: &str) -> BTreeSet<&str> {
    tree.lines().filter_map(|line| line.split(' ').next()).filter(|name| FORBIDDEN_CRATES.contains(name)).collect()
}

/// Crates whose features bring std.
fn forbidden_features(tree: &str) -> BTreeSet<(&str, &str)> {
    let lines = tree.lines().filter_map(|line| line.split_once('|'));
    let features = lines.flat_map(|(package, features)| features.split(',').map(move |feature| (package, feature)));
    features.filter(|(_, feature)| FORBIDDEN_FEATURES.contains(feature)).collect()
}

/// The forbidden words of a source, outside comments and texts.
fn forbidden_words(source: &str) -> BTreeSet<&str> {
    let code = source.lines().filter_map(|line| line.split("//").next());
    let pieces = code.flat_map(|line| line.split('"').step_by(2));
    let words = pieces.flat_map(|piece| piece.split(|c: char| !c.is_alphanumeric() && c != '_'));
    words.filter(|word| FORBIDDEN_WORDS.contains(word)).collect()
}

#[test]
fn the_core_links_nothing_that_acts() {
    let tree = dependencies();
    assert!(tree.starts_with("proto-core ") && tree.contains("snow "), "{tree}");
    assert_eq!(forbidden_crates(&tree), BTreeSet::new());
    assert_eq!(forbidden_features(&tree), BTreeSet::new());
}

#[test]
fn the_core_names_nothing_that_acts() {
    let sources = rust_files(&core_dir().join("src"));
    assert!(sources.len() > 50, "{sources:?}");
    for path in &sources {
        let source = fs::read_to_string(path).expect("a readable source");
        assert_eq!(forbidden_words(&source), BTreeSet::new(), "{}", path.display());
    }
}

#[test]
fn the_core_is_compiled_without_std() {
    let root = fs::read_to_string(core_dir().join("src/lib.rs")).expect("a readable source");
    assert!(root.lines().any(|line| line == "#![no_std]"));
}

/// META-1: both checks can fail.
#[test]
fn what_acts_is_found() {
    assert_eq!(forbidden_crates("proto-core v0.1.0|\ntokio v1.0.0| (*)\nrand_core v0.9.0|\n"), BTreeSet::from(["tokio"]));
    let tree = "proto-core v0.1.0|\nserde v1.0.0|alloc,std\nbytes v1.0.0|serde\n";
    assert_eq!(forbidden_features(tree), BTreeSet::from([("serde v1.0.0", "std")]));
    for bad in ["use std::time;", "let m: HashMap<u8, u8>;", "x(\"a\", std::env::var(\"b\"))", "async fn f() {} // fine"] {
        assert_eq!(forbidden_words(bad).len(), 1, "{bad}");
    }
    for good in ["// std", "let understand = \"std\";", "no_std", "/// unsafe"] {
        assert_eq!(forbidden_words(good), BTreeSet::new(), "{good}");
    }
}
