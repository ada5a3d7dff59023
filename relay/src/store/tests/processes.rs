//! The store in another process, which is killed, or runs out of room. That process is this program again, with one of the ignored
//! tests, told by the environment where to work.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, ChildStdout, Command, Stdio},
};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::*;

const WHERE: &str = "VIEWPORT_RELAY_TEST_DIR";
const SESSIONS: u64 = 3;

/// Starts the test of that name in a process of its own, by these commands of a shell.
fn start(test: &str, dir: &Path, shell: &str) -> (Child, BufReader<ChildStdout>) {
    let mut child = Command::new("sh")
        .args(["-c", &format!("{shell} exec \"$0\" \"$@\"")])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", &format!("store::tests::processes::{test}"), "--ignored", "--nocapture", "--test-threads=1"])
        .env(WHERE, dir)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let stdout = BufReader::new(child.stdout.take().unwrap());
    (child, stdout)
}

/// Says on standard output, in one write, what is acknowledged.
fn say(number: u64, next: u64) {
    std::io::stdout().write_all(format!("acknowledged {number} {next}\n").as_bytes()).unwrap();
}

fn heard(line: &str) -> Option<(u64, u64)> {
    let (_, said) = line.split_once("acknowledged ")?;
    let (number, next) = said.split_once(' ')?;
    Some((number.parse().ok()?, next.parse().ok()?))
}

fn length(sequence: u64) -> usize {
    usize::try_from(sequence * 7_919 % 3_000).unwrap()
}

#[test]
#[ignore = "runs in a process of its own, see what_was_acknowledged_survives_a_kill"]
fn writes_until_it_is_killed() {
    let Some(dir) = std::env::var_os(WHERE) else { return };
    let one = tuned(Path::new(&dir), 60_000);
    let known = one.load("a");
    let next = |number: u64| known.iter().find(|s| s.number.0 == number).map_or(0, |s| s.next);
    let mut sent: Vec<u64> = (0..SESSIONS).map(next).collect();
    if known.is_empty() {
        one.store.write((0..SESSIONS).flat_map(|number| begin(SessionNumber(number), "a")).collect());
    }
    loop {
        for (number, sequence) in (0..).zip(&mut sent) {
            let session = SessionNumber(number);
            one.store.write(vec![record(session, *sequence, &body_of(session, *sequence, length(*sequence)))]);
            *sequence += 1;
        }
        if let Input::Appended(number, next) = one.input() {
            say(number.0, next);
        }
    }
}

/// SES-2: a relay that is killed at any moment has every record that it acknowledged, exactly once and in order; what it has beyond
/// that was sent.
#[test]
fn what_was_acknowledged_survives_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let mut acknowledged = [0; 3];
    for kill in 0..20 {
        let (mut child, mut lines) = start("writes_until_it_is_killed", dir.path(), "");
        let (mut line, mut count) = (String::new(), 0);
        while count < kill * 37 % 90 {
            line.clear();
            assert!(lines.read_line(&mut line).unwrap() > 0, "it ended by itself");
            let Some((number, next)) = heard(line.trim_end()) else { continue };
            acknowledged[usize::try_from(number).unwrap()] = next;
            count += 1;
        }
        child.kill().unwrap();
        // What it still said before it was killed counts too.
        for line in lines.lines().map_while(Result::ok) {
            if let Some((number, next)) = heard(&line) {
                acknowledged[usize::try_from(number).unwrap()] = next;
            }
        }
        child.wait().unwrap();
        let two = tuned(dir.path(), 60_000);
        let known = two.load("a");
        for session in &known {
            let (number, least) = (session.number, acknowledged[usize::try_from(session.number.0).unwrap()]);
            assert!(session.next >= least, "{} of {least} records are there", session.next);
            for (sequence, body) in (0..).zip(two.read_all(number, session.next)) {
                assert_eq!(body, body_of(number, sequence, length(sequence)));
            }
        }
        assert!(!known.is_empty() || acknowledged == [0; 3]);
    }
    assert!(acknowledged.iter().all(|next| *next > 0));
}

#[test]
#[ignore = "runs in a process of its own, see a_full_disk_stops_one_organization_until_there_is_room"]
fn runs_out_of_room() {
    let Some(dir) = std::env::var_os(WHERE) else { return };
    let one = opened(Path::new(&dir));
    one.load("a");
    one.load("b");
    one.write_until([begin(N, "a"), vec![record(N, 0, b"zero")]].concat(), N, 1);
    let large = body_of(N, 1, 400_000);
    one.store.write(vec![record(N, 1, &large)]);
    while one.store.working().load(std::sync::atomic::Ordering::SeqCst) {
        thread::yield_now();
    }
    let a = || "a".parse().unwrap();
    assert_eq!(one.input(), Input::Storing(a(), false));
    // The other organization is written all the time, and what is durable can be read.
    one.write_until([begin(OTHER, "b"), vec![record(OTHER, 0, b"of b")]].concat(), OTHER, 1);
    assert_eq!(one.read(N, 0, 10).unwrap(), [Bytes::from_static(b"zero")]);
    one.store.write(vec![record(N, 2, b"two")]);
    one.write_until(vec![record(OTHER, 1, b"of b")], OTHER, 2);
    let Rlimit { maximum, .. } = getrlimit(Resource::Fsize);
    setrlimit(Resource::Fsize, Rlimit { current: maximum, maximum }).unwrap();
    assert_eq!([one.input(), one.input()], [Input::Appended(N, 3), Input::Storing(a(), true)]);
    assert_eq!(one.read_all(N, 3), [&b"zero"[..], &large, b"two"]);
    drop(one);
    let two = opened(Path::new(&dir));
    assert_eq!(two.load("a")[0].next, 3);
    say(N.0, 3);
}

/// A disk without room loses nothing: no answer but that it is so until the write works, then the answer; other organizations go on
/// meanwhile.
#[test]
fn a_full_disk_stops_one_organization_until_there_is_room() {
    let dir = tempfile::tempdir().unwrap();
    // A file may have 64 KiB at first; the signal that says so is ignored.
    let (mut child, lines) = start("runs_out_of_room", dir.path(), "trap '' XFSZ; ulimit -S -f 128;");
    let said: Vec<_> = lines.lines().map_while(Result::ok).collect();
    assert!(child.wait().unwrap().success(), "{said:?}");
    assert!(said.iter().any(|line| heard(line) == Some((N.0, 3))), "{said:?}");
}
