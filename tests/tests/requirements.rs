//! `requirements.toml` says which tests prove which requirement. This holds it to the sources.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use verification::sources::workspace;

/// Requirements are numbered S1 to this, without a gap.
const REQUIREMENTS: u32 = 222;
/// Decisions are numbered D1 to this, without a gap.
const DECISIONS: u32 = 15;

/// The crates that tests are named by, and where they live.
const CRATES: &[(&str, &str)] = &[
    ("io_async_std", "io-async-std"),
    ("io_engine", "io-engine"),
    ("io_tokio", "io-tokio"),
    ("proto_core", "proto-core"),
    ("verification", "tests"),
    ("viewport_platform", "platform"),
    ("viewport_server", "server"),
    ("viewport_relay", "relay"),
    ("vpd", "vpd"),
];

/// The file; its head explains it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Requirements {
    proved: BTreeMap<String, Vec<String>>,
    open: BTreeMap<String, String>,
    decisions: BTreeMap<String, Vec<String>>,
}

fn read() -> Requirements {
    let path = workspace().join("tests/requirements.toml");
    toml::from_str(&fs::read_to_string(path).expect("a readable file")).expect("the documented form")
}

fn numbers(letter: char, last: u32) -> BTreeSet<String> {
    (1..=last).map(|number| format!("{letter}{number}")).collect()
}

/// Everything that is wrong with the file.
fn faults(file: &Requirements) -> Vec<String> {
    let mut faults = Vec::new();
    let (known, decisions) = (numbers('S', REQUIREMENTS), numbers('D', DECISIONS));
    let listed: BTreeSet<_> = file.proved.keys().chain(file.open.keys()).cloned().collect();
    faults.extend(listed.difference(&known).map(|id| format!("{id}: there is no such requirement")));
    faults.extend(known.difference(&listed).map(|id| format!("{id}: neither proved nor open")));
    faults.extend(file.proved.keys().filter(|id| file.open.contains_key(*id)).map(|id| format!("{id}: proved and open")));
    faults.extend(file.decisions.keys().filter(|id| !decisions.contains(*id)).map(|id| format!("{id}: no such decision")));
    for (id, tests) in file.proved.iter().chain(&file.decisions) {
        let distinct: BTreeSet<_> = tests.iter().collect();
        if tests.is_empty() || distinct.len() < tests.len() {
            faults.push(format!("{id}: no test, or one twice"));
        }
        faults.extend(tests.iter().filter(|test| !exists(test)).map(|test| format!("{id}: there is no test {test}")));
    }
    faults
}

/// Whether the sources have a test of this name, `crate::module::function`. What stands in `tests/` of a crate is named like
/// what stands in its `src/`.
fn exists(test: &str) -> bool {
    let mut parts: Vec<_> = test.split("::").collect();
    let (Some(function), false) = (parts.pop(), parts.is_empty()) else { return false };
    let Some((_, folder)) = CRATES.iter().find(|(name, _)| *name == parts[0]) else { return false };
    let modules = &parts[1..];
    ["src", "tests"].iter().any(|root| {
        let root = workspace().join(folder).join(root);
        (0..=modules.len()).any(|depth| {
            let (path, inline) = modules.split_at(depth);
            sources_of(&root, path).iter().filter_map(|file| fs::read_to_string(file).ok()).any(|source| {
                inline.iter().all(|module| source.contains(&format!("mod {module} {{"))) && has_test(&source, function)
            })
        })
    })
}

/// Where the module may stand.
fn sources_of(root: &Path, module: &[&str]) -> Vec<PathBuf> {
    let place = module.iter().fold(root.to_owned(), |path, part| path.join(part));
    let inside = ["mod.rs", "main.rs", "lib.rs"].map(|name| place.join(name));
    inside.into_iter().chain([place.with_extension("rs")]).collect()
}

/// Whether the source has such a function, marked as a test, or as the body that a macro makes tests of.
fn has_test(source: &str, function: &str) -> bool {
    let lines: Vec<_> = source.lines().map(str::trim).collect();
    let is_it = |line: &str| {
        let after = line.trim_start_matches("async ").strip_prefix("fn ").and_then(|line| line.strip_prefix(function));
        after.is_some_and(|after| after.starts_with(['(', '<']))
    };
    let is_test = |at: usize| {
        let above = lines[..at].iter().rev();
        let mut marks = above.clone().take_while(|line| line.starts_with("#[") || line.starts_with("///"));
        let before = above.clone().find(|line| !line.starts_with("#[") && !line.starts_with("///"));
        marks.any(|line| line.starts_with("#[test]") || line.starts_with("#[tokio::test"))
            || before.is_some_and(|line| line.ends_with("! {"))
    };
    lines.iter().enumerate().any(|(at, line)| is_it(line) && is_test(at))
}

#[test]
fn the_file_agrees_with_the_sources() {
    let faults = faults(&read());
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// META-1: each kind of fault is found.
#[test]
fn faults_are_found() {
    let sound = || read();
    let with = |change: fn(&mut Requirements)| {
        let mut file = sound();
        change(&mut file);
        faults(&file)
    };
    let any = || vec!["verification::requirements::faults_are_found".to_owned()];
    assert!(exists(&any()[0]));
    for test in [
        "verification::requirements::gone",
        "verification::requirements::read",
        "verification::elsewhere::faults_are_found",
        "unknown::a",
        "a",
    ] {
        assert!(!exists(test), "{test}");
    }
    assert_eq!(with(|file| drop(file.open.insert("S999".into(), String::new()))), ["S999: there is no such requirement"]);
    assert_eq!(
        with(|file| drop(file.decisions.insert("D99".into(), vec!["verification::requirements::faults_are_found".into()]))),
        ["D99: no such decision"]
    );
    let moved = with(|file| {
        file.proved.remove("S10").expect("S10 is proved");
    });
    assert_eq!(moved, ["S10: neither proved nor open"]);
    assert_eq!(with(|file| drop(file.open.insert("S10".into(), String::new()))), ["S10: proved and open"]);
    assert_eq!(with(|file| drop(file.proved.insert("S10".into(), vec![]))), ["S10: no test, or one twice"]);
    let gone =
        with(|file| drop(file.proved.insert("S10".into(), vec!["proto_core::platform::pairing_code::tests::gone".into()])));
    assert_eq!(gone, ["S10: there is no test proto_core::platform::pairing_code::tests::gone"]);
}
