//! Holds the planted bugs in `tests/planted/` to the tree and to `docs/INVARIANTS.md`: each patch still applies and says what it
//! breaks, and every invariant has one that its check catches. `tests/planted/run` plants them.

use std::{collections::BTreeSet, fs, path::PathBuf, process::Command};

use verification::sources::workspace;

/// The fewest bugs that have to be there.
const AT_LEAST: usize = 40;

/// Ways in which a bug is caught.
const TECHNIQUES: &[&str] = &[
    "explorer",
    "model",
    "law",
    "world",
    "simulation",
    "fuzz corpus",
    "vector",
    "unit",
    "conformance",
    "whole program",
    "compiler",
];

fn patches() -> Vec<PathBuf> {
    let entries = fs::read_dir(workspace().join("tests/planted")).expect("the folder");
    let mut patches: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    patches.retain(|path| path.extension().is_some_and(|extension| extension == "patch"));
    patches.sort();
    patches
}

fn header<'a>(patch: &'a str, field: &str) -> Option<&'a str> {
    let start = format!("# {field}: ");
    patch.lines().take(3).find_map(|line| line.strip_prefix(&start))
}

/// The ids in the tables of `docs/INVARIANTS.md`.
fn invariants() -> BTreeSet<String> {
    let page = fs::read_to_string(workspace().join("docs/INVARIANTS.md")).expect("the page");
    let cells = page.lines().filter_map(|line| line.strip_prefix("| ")?.split_once(" |"));
    cells.map(|(id, _)| id.to_owned()).filter(|id| id.contains('-')).collect()
}

/// What is wrong with the head of a patch.
fn fault(text: &str, known: &BTreeSet<String>) -> Option<String> {
    let (Some(_), Some(ids), Some(caught_by)) = (header(text, "bug"), header(text, "invariant"), header(text, "caught-by"))
    else {
        return Some("one of the three lines is missing".into());
    };
    // Beside the invariants there are laws of the machine contract, L1 to L10, and decisions, D1 to D14.
    let is_numbered = |id: &str, prefix, most: u8| {
        id.strip_prefix(prefix).and_then(|n| n.parse().ok()).is_some_and(|n| (1..=most).contains(&n))
    };
    let is_known = |id: &str| known.contains(id) || is_numbered(id, 'L', 10) || is_numbered(id, 'D', 14);
    if let Some(id) = ids.split_whitespace().find(|id| !is_known(id)) {
        return Some(format!("there is no invariant {id}"));
    }
    match caught_by.split_once(" | ") {
        Some((technique, command)) if TECHNIQUES.contains(&technique) && command.starts_with("cargo ") => None,
        _ => Some(format!("not a technique and a command: {caught_by}")),
    }
}

#[test]
fn every_patch_says_what_it_breaks_and_what_catches_it() {
    let known = invariants();
    let faults: Vec<_> = patches()
        .into_iter()
        .filter_map(|path| Some((fault(&fs::read_to_string(&path).expect("text"), &known)?, path)))
        .collect();
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn every_patch_applies() {
    let applies = |path: &PathBuf| {
        let git = Command::new("git").args(["apply", "--check"]).arg(path).current_dir(workspace()).output().expect("git");
        git.status.success()
    };
    let stale: Vec<_> = patches().into_iter().filter(|path| !applies(path)).collect();
    assert!(stale.is_empty(), "the code has moved on from {stale:#?}");
}

#[test]
fn every_invariant_has_a_bug_that_breaks_it() {
    let patches = patches();
    assert!(patches.len() >= AT_LEAST, "only {} planted bugs", patches.len());
    let texts: Vec<_> = patches.iter().map(|path| fs::read_to_string(path).expect("text")).collect();
    let covered: BTreeSet<_> =
        texts.iter().filter_map(|text| header(text, "invariant")).flat_map(str::split_whitespace).collect();
    let bare: Vec<_> = invariants().into_iter().filter(|id| !covered.contains(id.as_str())).collect();
    assert!(bare.is_empty(), "no planted bug for {bare:?}");
}

/// A row, and the seconds after which its bug was found. One that was not planted yet says so; one that survived has neither.
fn found_after(row: &str) -> Option<(&str, &str)> {
    let (row, last) = row.strip_suffix(" |")?.rsplit_once(" | ")?;
    (last.ends_with(" s") || last == "not measured").then_some((row, last))
}

/// `tests/planted/README.md` shows what came of these very patches, and none of the bugs survived.
#[test]
fn the_table_is_of_these_patches() {
    let page = fs::read_to_string(workspace().join("tests/planted/README.md")).expect("the page");
    let table = page.split_once("<!-- planted: begin -->").and_then(|(_, rest)| rest.split_once("<!-- planted: end -->"));
    let rows = table.expect("the table").0.lines().filter_map(|line| line.strip_prefix("| ")).skip(1);
    let shown: Vec<_> = rows.filter_map(found_after).map(|(row, _)| row.to_owned()).collect();
    let rows_of = |path: PathBuf| {
        let text = fs::read_to_string(path).expect("text");
        let [bug, breaks, caught_by] = ["bug", "invariant", "caught-by"].map(|field| header(&text, field).unwrap_or_default());
        format!("{bug} | {breaks} | {}", caught_by.split_once(" | ").unwrap_or_default().0)
    };
    let expected: Vec<_> = patches().into_iter().map(rows_of).collect();
    assert_eq!(shown, expected, "tests/planted/run writes it anew");
    assert_eq!(expected.iter().collect::<BTreeSet<_>>().len(), expected.len(), "a bug stands there twice");
}
