//! `vpd demo`, as a user's first command: the whole product, in real processes.

mod program;

use std::fs;

use program::Home;

/// A place for its temporary directory, to see that nothing stays.
fn demo(arguments: &[&str]) -> program::End {
    let home = Home::new();
    let output = home.command(&[&["demo"], arguments].concat()).env("TMPDIR", home.path()).output().unwrap();
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0, "something was left behind");
    output.into()
}

fn assert_shown(end: &program::End, parts: &[&str]) {
    assert_eq!(end.code, 0, "{}\n{}", end.stdout, end.stderr);
    for part in parts {
        assert!(end.stdout.contains(part), "{part} in {}", end.stdout);
    }
    assert!(!end.stdout.contains('✗'));
}

/// SES-1, ADM-5, D14: equal on both sides, and nothing of it at the servers.
#[test]
fn every_promise_holds() {
    let end = demo(&[]);
    assert_shown(
        &end,
        &["local terminal", "remote viewer", "byte for byte equal", "bytes of ciphertext", "nothing of it in", "✓ döne"],
    );
}

#[test]
fn any_command_can_be_shown() {
    let end = demo(&["--", "sh", "-c", "seq 1 20000; exit 3"]);
    assert_shown(&end, &["byte for byte equal", "20000"]);
}

/// SES-1, SES-2: killed without a warning in the middle of the stream; nothing is lost and nothing doubled.
#[test]
fn a_relay_that_is_killed_loses_nothing() {
    let end = demo(&["--fault", "relay-restart"]);
    assert_shown(&end, &["were killed in the middle", "byte for byte equal"]);
}
