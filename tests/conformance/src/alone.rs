//! Scenarios that need a process of their own: to count what a process does or holds, or to fill its disk.
//!
//! The test starts its own program again for itself alone, and fails as that fails.

use std::{
    env,
    io::Write,
    path::{Path, PathBuf},
    process::Command,
};

/// Names the test that a process was started for.
const ALONE: &str = "CONFORMANCE_ALONE";

/// Names the folder that little fits into.
const DISK: &str = "CONFORMANCE_DISK";

/// Ways to a mount that no other process sees: as root, and as any user where the system lets them.
const NAMESPACES: [&[&str]; 2] = [&["--mount"], &["--user", "--map-root-user", "--mount"]];

/// 64 KiB, and everything beyond it is `ENOSPC`.
const MOUNT: &str = "mount -t tmpfs -o size=64k,mode=700 none \"$CONFORMANCE_DISK\"";

/// Files of up to 64 KiB, in blocks of 512 bytes; everything beyond it is `EFBIG`.
const LIMIT_FILES: &str = "trap '' XFSZ; ulimit -f 128";

/// Runs `scenario`, which is the test `name` of the module `module`, in a process of its own.
pub fn alone(module: &str, name: &str, scenario: fn()) {
    let test = full_name(module, name);
    if is_for(&test) { scenario() } else { succeed(&test, itself(&test)) }
}

/// The same on a disk of 64 KiB. Where no disk can be made, files are kept from growing instead, and that is said.
pub fn on_a_small_disk(module: &str, name: &str, scenario: fn()) {
    let test = full_name(module, name);
    if is_for(&test) {
        return scenario();
    }
    let folder = tempfile::tempdir().unwrap();
    let mut command = small_disk(folder.path()).unwrap_or_else(|| {
        say(&format!(
            "{test}: NO FULL DISK: this machine does not allow mounting one. Files are kept below 64 KiB instead (EFBIG).\n"
        ));
        shell(Command::new("sh"), LIMIT_FILES)
    });
    let itself = itself(&test);
    command.arg(itself.get_program()).args(itself.get_args());
    command.env(ALONE, &test).env(DISK, folder.path());
    succeed(&test, command);
}

/// The folder that little fits into, in a process that was started for that.
pub fn disk() -> PathBuf {
    env::var_os(DISK).expect("started on a small disk").into()
}

fn full_name(module: &str, name: &str) -> String {
    let (_, area) = module.split_once("::").expect("a module within a test");
    format!("{area}::{name}")
}

fn is_for(test: &str) -> bool {
    env::var(ALONE).is_ok_and(|alone| alone == test)
}

fn itself(test: &str) -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args([test, "--exact", "--nocapture", "--test-threads=1"]).env(ALONE, test);
    command
}

fn succeed(test: &str, mut command: Command) {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let erred = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("1 passed"), "{test}, alone: {}\n{said}{erred}", output.status);
}

/// What runs a program on a new disk at `folder`.
fn small_disk(folder: &Path) -> Option<Command> {
    let command = |namespace: &[&str]| {
        let mut unshare = Command::new("unshare");
        unshare.args(namespace).arg("sh").env(DISK, folder);
        shell(unshare, MOUNT)
    };
    let works = |namespace: &&&[&str]| command(namespace).arg("true").output().is_ok_and(|output| output.status.success());
    NAMESPACES.iter().find(works).map(|namespace| command(namespace))
}

/// Runs what follows as arguments after `first`.
fn shell(mut sh: Command, first: &str) -> Command {
    sh.args(["-c", &format!("{first} && exec \"$@\""), "sh"]);
    sh
}

/// Past the harness, which keeps what a passing test prints to itself.
fn say(text: &str) {
    let _ = std::io::stderr().write_all(text.as_bytes());
}
