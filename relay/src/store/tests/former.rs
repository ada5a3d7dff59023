//! A store that version 0.1.0 made is taken over. `fixtures/records-0.1.0.redb.txt` is such a file: two organizations, three
//! sessions, one of them ended, a renewed credential, records of 0 to 70,000 bytes; in lines of bytes, or of one byte so many times.

use super::*;

const FIXTURE: &str = include_str!("../fixtures/records-0.1.0.redb.txt");

fn fixture() -> Vec<u8> {
    let byte = |hex: &str| u8::from_str_radix(hex, 16).unwrap();
    let line = |line: &str| match line.split_once('*') {
        Some((of, count)) => vec![byte(of); count.parse().unwrap()],
        None => (0..line.len()).step_by(2).map(|at| byte(&line[at..at + 2])).collect(),
    };
    FIXTURE.lines().flat_map(line).collect()
}

fn former_in(dir: &Path) {
    std::fs::write(dir.join("records.redb"), fixture()).unwrap();
}

fn check(opened: &Opened) {
    let (of_a, of_b) = (opened.load("a"), opened.load("b"));
    let seen = |sessions: &[StoredSession]| -> Vec<_> {
        sessions.iter().map(|s| (s.number.0, s.session.0[0], s.cipher, s.next, s.ended)).collect()
    };
    assert_eq!(seen(&of_a), [(7, 1, 2, 40, Some(Outcome::Cut)), (11, 3, 2, 3, None)]);
    assert_eq!(seen(&of_b), [(8, 1, 2, 40, None)]);
    assert_eq!((of_a[0].credential.expose(), of_b[0].credential.expose()), ("token", "renewed"));
    for (sequence, body) in (0_u8..).zip(opened.read_all(SessionNumber(7), 40)) {
        assert_eq!(body, vec![sequence; usize::from(sequence) * 37 % 50]);
    }
    assert!(opened.read_all(SessionNumber(8), 40).iter().all(|body| *body == "of b"));
    assert!(opened.read_all(SessionNumber(11), 3).iter().all(|body| *body == vec![9; 70_000]));
}

/// Nothing is lost, and the file is gone once all of it is in the logs.
#[test]
fn everything_is_taken_over() {
    let dir = tempfile::tempdir().unwrap();
    former_in(dir.path());
    check(&opened(dir.path()));
    assert!(!dir.path().join("records.redb").exists());
    let again = opened(dir.path());
    assert!(again.first > SessionNumber(11));
    check(&again);
}

/// Whenever it is interrupted, the next start does it again or has it done.
#[test]
fn taking_over_survives_a_kill_at_any_step() {
    // While it was copied: the logs are not in their place.
    let dir = tempfile::tempdir().unwrap();
    former_in(dir.path());
    let unfinished = dir.path().join("log.new");
    std::fs::create_dir_all(unfinished.join("me")).unwrap();
    std::fs::write(unfinished.join("me/00000000.log"), b"half of").unwrap();
    check(&opened(dir.path()));
    assert!(!unfinished.exists());
    // After the logs came to their place, before the file was removed: what came since stays.
    former_in(dir.path());
    let one = opened(dir.path());
    check(&one);
    one.write_until(vec![record(SessionNumber(11), 3, b"new")], SessionNumber(11), 4);
    drop(one);
    former_in(dir.path());
    let two = opened(dir.path());
    two.load("a");
    assert_eq!(two.read(SessionNumber(11), 3, 10).unwrap(), [Bytes::from_static(b"new")]);
    assert!(!dir.path().join("records.redb").exists());
}

/// F28: a damaged file is refused with its name, or taken over as far as it says; it is never removed unread.
#[test]
fn a_damaged_one_is_refused_or_read() {
    let whole = fixture();
    let mut refused = 0;
    for place in (0..whole.len()).step_by(whole.len() / 41) {
        let dir = tempfile::tempdir().unwrap();
        let mut damaged = whole.clone();
        damaged[place..].iter_mut().take(64).for_each(|byte| *byte ^= 0x5a);
        std::fs::write(dir.path().join("records.redb"), &damaged).unwrap();
        match Store::open(dir.path(), Retention::default(), Arc::new(|_| {})) {
            Ok(_) => assert!(dir.path().join("log").exists()),
            Err(error) => {
                assert!(error.to_string().contains("records.redb"), "{error}");
                assert!(dir.path().join("records.redb").exists() && !dir.path().join("log").exists());
                refused += 1;
            }
        }
    }
    assert!(refused > 0);
}
