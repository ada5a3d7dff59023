//! One loop drives every machine of the product: `io_engine::drive`, and the turns that it takes. A second loop would be a second
//! place for the order of clock, deadline and facts, and for the complete drain. No requirement asks for this; it is a rule of this
//! project.

use std::fs;

use verification::sources::{rust_files, workspace};

/// The calls by which a machine is driven.
const CALLS: &[&str] = &["handle_clock(", "handle_timeout(", "handle_input(", "poll_output(", "poll_timeout("];

/// The product's crates beside the core, in which machines drive the machines that they own.
const SHELLS: &[&str] = &["io-async-std", "io-engine", "io-tokio", "platform", "relay", "server", "vpd"];

/// Where such calls stand.
const ALLOWED: &[&str] = &[
    // The loop.
    "io-engine/src/drive.rs",
    // A pairing code lives in its row: it is made anew for one change within a transaction, and nothing waits.
    "platform/src/pairing.rs",
];

/// The lines of code that drive a machine.
fn driving(code: &str) -> Vec<usize> {
    let is_comment = |line: &str| line.trim_start().starts_with("//");
    let drives = |line: &str| CALLS.iter().any(|call| line.contains(&format!(".{call}")));
    code.lines().enumerate().filter(|(_, line)| !is_comment(line) && drives(line)).map(|(number, _)| number + 1).collect()
}

#[test]
fn no_shell_has_a_loop_of_its_own() {
    let root = workspace();
    let files: Vec<_> = SHELLS.iter().flat_map(|shell| rust_files(&root.join(shell).join("src"))).collect();
    assert!(files.len() > 100, "only {} sources", files.len());
    let mut second = Vec::new();
    for file in &files {
        let name = file.strip_prefix(&root).expect("within the workspace").to_string_lossy().into_owned();
        let lines = driving(&fs::read_to_string(file).expect("a source"));
        if !lines.is_empty() && !ALLOWED.contains(&name.as_str()) {
            second.push(format!("{name}: {lines:?}"));
        }
    }
    assert!(second.is_empty(), "these drive a machine by themselves; `drive` or `Turns` does: {second:#?}");
}

/// A check that finds nothing anywhere is none, and neither is an exception for what drives nothing any more.
#[test]
fn the_loop_is_found_where_it_stands() {
    for name in ALLOWED {
        let code = fs::read_to_string(workspace().join(name)).expect("a source");
        assert!(!driving(&code).is_empty(), "{name} needs no exception");
    }
    let code = fs::read_to_string(workspace().join("io-engine/src/drive.rs")).expect("the loop");
    assert!(driving(&code).len() >= CALLS.len(), "{:?}", driving(&code));
    assert_eq!(driving("    // machine.poll_output()\n    machine.poll_output()"), [2]);
}
