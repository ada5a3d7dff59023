//! `vpd run` without a binding: the command cannot tell the difference.

mod program;

use std::{
    io::{Read as _, Write as _},
    os::fd::AsFd as _,
    process::Stdio,
};

use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, tcgetattr, tcsetattr};

use program::{Home, VPD, shell_code};

/// What a script shows on a terminal of 100 by 30, and its exit code; `typed` is typed once `prompt` has appeared.
fn on_a_terminal(program: &str, arguments: &[&str], prompt: &str, typed: &str) -> (Vec<u8>, i32) {
    let home = Home::new();
    let (mut pty, pts) = pty_process::blocking::open().unwrap();
    pty.resize(pty_process::Size::new(30, 100)).unwrap();
    let mut settings = tcgetattr(pts.as_fd()).unwrap();
    settings.special_codes[SpecialCodeIndex::VERASE] = 0x08;
    // Without it a Ctrl-C takes back output that is still on its way, the answer to it included.
    settings.local_modes.insert(LocalModes::NOFLSH);
    tcsetattr(pts.as_fd(), OptionalActions::Now, &settings).unwrap();
    let command = pty_process::blocking::Command::new(program).args(arguments).env("VIEWPORT_HOME", home.path());
    let mut child = command.spawn(pts).unwrap();
    let mut shown = Vec::new();
    let mut chunk = [0; 4096];
    let mut waiting = !prompt.is_empty();
    // The terminal ends with EIO when the last process that holds it is gone.
    while let Ok(n @ 1..) = pty.read(&mut chunk) {
        shown.extend_from_slice(&chunk[..n]);
        if waiting && shown.windows(prompt.len()).any(|window| window == prompt.as_bytes()) {
            pty.write_all(typed.as_bytes()).unwrap();
            waiting = false;
        }
    }
    (shown, child.wait().unwrap().code().unwrap())
}

/// Runs the script bare and under `vpd run`, and wants both alike.
fn alike_on_a_terminal(script: &str, prompt: &str, typed: &str) -> (String, i32) {
    let bare = on_a_terminal("/bin/sh", &["-c", script], prompt, typed);
    let wrapped = on_a_terminal(VPD, &["run", "--", "/bin/sh", "-c", script], prompt, typed);
    assert_eq!(String::from_utf8_lossy(&wrapped.0), String::from_utf8_lossy(&bare.0));
    assert_eq!(wrapped, bare);
    (String::from_utf8_lossy(&bare.0).into_owned(), bare.1)
}

/// BIND-7's other half, section 8 of the design: byte for byte what it would be without us, size and settings included.
#[test]
fn a_terminal_looks_the_same() {
    let script = "printf '\\033[31mred\\033[0m\\tü\\n'; test -t 0 && test -t 1 && test -t 2 && echo tty; stty size; stty -a | grep -o 'erase = [^;]*'; exit 7";
    let (shown, code) = alike_on_a_terminal(script, "", "");
    assert_eq!(code, 7);
    assert!(shown.contains("tty\r\n30 100\r\nerase = ^H"), "{shown}");
}

#[test]
fn what_is_typed_arrives_once_and_is_echoed_once() {
    let (shown, code) = alike_on_a_terminal("printf 'name? '; read name; echo \"hello $name\"", "name? ", "Ada\n");
    assert_eq!((shown.as_str(), code), ("name? Ada\r\nhello Ada\r\n", 0));
}

#[test]
fn control_c_reaches_the_command_and_not_its_wrapper() {
    let script = "trap 'echo caught; exit 9' INT; echo ready; while :; do read line; done";
    let (shown, code) = alike_on_a_terminal(script, "ready", "\x03");
    assert_eq!(code, 9);
    assert!(shown.contains("caught"), "{shown}");
}

#[test]
fn large_output_is_whole() {
    let (shown, code) = alike_on_a_terminal("seq 1 60000", "", "");
    assert_eq!((shown.lines().count(), code), (60_000, 0));
}

/// Without a terminal: three separate streams, binary and to the last byte.
#[test]
fn pipes_stay_pipes() {
    let home = Home::new();
    let script = "test -t 0 || test -t 1 || test -t 2 || echo none; cat; echo oops >&2; exit 3";
    let mut child = home
        .command(&["run", "--", "sh", "-c", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let sent: Vec<u8> = (0..=255).cycle().take(300_000).collect();
    let mut stdin = child.stdin.take().unwrap();
    let writer = std::thread::spawn({
        let sent = sent.clone();
        move || stdin.write_all(&sent).unwrap()
    });
    let end = child.wait_with_output().unwrap();
    writer.join().unwrap();
    assert_eq!(end.status.code(), Some(3));
    assert_eq!(end.stderr, b"oops\n");
    assert!(end.stdout == [b"none\n".as_slice(), &sent].concat());
}

/// Tokens in the environment of child processes: the command finds ours, and nothing more.
#[test]
fn the_environment_is_passed_on_and_nothing_is_added() {
    let home = Home::new();
    let wrapped = home.vpd(&["run", "--", "env"]);
    let bare = home.command(&["--version"]);
    let mut expected: Vec<String> = std::env::vars().map(|(name, _)| name).collect();
    let names = |changes: std::process::CommandEnvs<'_>| -> Vec<(String, bool)> {
        changes.map(|(name, value)| (name.to_string_lossy().into_owned(), value.is_some())).collect()
    };
    for (name, is_set) in names(bare.get_envs()) {
        expected.retain(|other| *other != name);
        if is_set {
            expected.push(name);
        }
    }
    let mut found: Vec<_> =
        wrapped.stdout.lines().filter_map(|line| line.split_once('=')).map(|(name, _)| name.to_owned()).collect();
    // What was there may have several lines.
    found.retain(|name| !name.contains(' '));
    expected.sort_unstable();
    found.sort_unstable();
    assert_eq!(found, expected);
}

#[test]
fn exit_statuses_are_those_of_a_shell() {
    let home = Home::new();
    for (command, code) in [
        (&["true"][..], 0),
        (&["sh", "-c", "exit 250"], 250),
        (&["sh", "-c", "kill -TERM $$"], 143),
        (&["/nonexistent/program"], 127),
        (&["/etc"], 126),
    ] {
        let end = home.vpd(&[&["run", "--"], command].concat());
        assert_eq!((end.code, end.stdout.as_str()), (code, ""), "{command:?}: {}", end.stderr);
    }
}

#[test]
fn signals_are_passed_on() {
    let home = Home::new();
    let script = "trap 'echo terminated; exit 5' TERM; echo ready; while :; do sleep 1; done";
    let mut child = home.command(&["run", "--", "sh", "-c", script]).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let mut ready = [0; 6];
    stdout.read_exact(&mut ready).unwrap();
    let id = rustix::process::Pid::from_raw(child.id().cast_signed()).unwrap();
    rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap();
    let mut rest = String::new();
    stdout.read_to_string(&mut rest).unwrap();
    assert_eq!((rest.as_str(), child.wait().unwrap().code()), ("terminated\n", Some(5)));
}

/// The reader of our output goes away: the command ends like one whose own output is not read.
#[test]
fn a_closed_output_ends_the_command() {
    let home = Home::new();
    let mut child = home.command(&["run", "--", "yes"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    stdout.read_exact(&mut [0; 2]).unwrap();
    drop(stdout);
    assert_eq!(shell_code(child.wait().unwrap()), 141);
}
