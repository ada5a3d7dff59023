//! The store on real files.

mod damage;
mod former;
mod leaving;
mod processes;

use std::{
    os::unix::fs::PermissionsExt as _,
    sync::{Mutex, mpsc::Receiver},
};

use bytes::Bytes;
use proto_core::{
    SessionId,
    relay::hub::{ConnectionId, Records, SealedRecord},
    secret::SecretText,
    wire::Outcome,
};

use super::*;

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_mins(1);
const N: SessionNumber = SessionNumber(7);
const OTHER: SessionNumber = SessionNumber(8);

/// A store, and what it answers.
struct Opened {
    store: Store,
    first: SessionNumber,
    answers: Receiver<Answer>,
}

fn tuned(dir: &Path, segment_bytes: u32) -> Opened {
    sweeping(dir, segment_bytes, Retention::default(), Duration::from_hours(1))
}

fn sweeping(dir: &Path, segment_bytes: u32, retention: Retention, sweep_every: Duration) -> Opened {
    let (sender, answers) = mpsc::channel();
    let sender = Mutex::new(sender);
    // While a store is dropped, the receiver may be gone.
    let to: Answers = Arc::new(move |answer| drop(sender.lock().unwrap().send(answer)));
    let tuning = Tuning { segment_bytes, retry_after: Duration::from_millis(1), sweep_every };
    let (store, first) = Store::open_with(dir, retention, tuning, to).unwrap();
    Opened { store, first, answers }
}

fn opened(dir: &Path) -> Opened {
    tuned(dir, SEGMENT_BYTES)
}

impl Opened {
    fn answer(&self) -> Answer {
        self.answers.recv_timeout(PATIENCE).expect("an answer")
    }

    fn input(&self) -> Input {
        match self.answer() {
            Answer::Hub(input) => input,
            other => panic!("{other:?}"),
        }
    }

    fn load(&self, org: &str) -> Vec<StoredSession> {
        self.store.load(org.parse().unwrap());
        match self.answer() {
            Answer::Loaded(of, Ok(sessions)) if of.as_str() == org => sessions,
            other => panic!("{other:?}"),
        }
    }

    /// Writes, and waits until so many records of a session are durable.
    fn write_until(&self, writes: Vec<Write>, session: SessionNumber, next: u64) {
        self.store.write(writes);
        while self.input() != Input::Appended(session, next) {}
    }

    fn read(&self, session: SessionNumber, from: u64, max_bytes: usize) -> Option<Vec<Bytes>> {
        self.store.read(Read { viewer: ConnectionId(1), session, from, max_bytes });
        match self.input() {
            Input::Records(Records { from: place, records, .. }) => {
                assert_eq!(place, from);
                Some(records.into_iter().map(|record| record.body).collect())
            }
            Input::Unreadable(..) => None,
            other => panic!("{other:?}"),
        }
    }

    /// All records of a session, however many reads that takes.
    fn read_all(&self, session: SessionNumber, next: u64) -> Vec<Bytes> {
        let mut all = Vec::new();
        while (all.len() as u64) < next {
            all.extend(self.read(session, all.len() as u64, 100_000).expect("records"));
        }
        all
    }
}

fn begin_as(number: SessionNumber, org: &str, session: SessionId) -> Vec<Write> {
    let (org, target) = (org.parse::<OrgId>().unwrap(), "target".parse::<proto_core::PlatformId>().unwrap());
    let credential = SecretText::new(format!("token of {org}"));
    vec![
        Write::Credential { org: org.clone(), target: target.clone(), credential },
        Write::Session { number, org, session, target, cipher: 2 },
    ]
}

fn begin(number: SessionNumber, org: &str) -> Vec<Write> {
    begin_as(number, org, SessionId([u8::try_from(number.0 % 251).unwrap(); 16]))
}

fn record(number: SessionNumber, sequence: u64, body: &[u8]) -> Write {
    let body = Bytes::copy_from_slice(body);
    Write::Record { number, sequence, record: SealedRecord { epoch: 3, body } }
}

/// What record a session has there.
fn body_of(number: SessionNumber, sequence: u64, length: usize) -> Vec<u8> {
    format!("{} {sequence} ", number.0).into_bytes().into_iter().cycle().take(length).collect()
}

/// SES-2: what was answered is there after the store is opened again, in order, and the sessions of two orgs are apart.
#[test]
fn what_was_answered_is_there_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let one = opened(&dir.path().join("data"));
    assert_eq!((one.load("a"), one.load("b")), (vec![], vec![]));
    one.write_until([begin(N, "a"), begin(OTHER, "b"), vec![record(N, 0, b"zero")]].concat(), N, 1);
    let end = Write::End { number: N, outcome: Outcome::Cut };
    one.write_until(vec![record(N, 1, b"one"), record(N, 2, b"two"), end], N, 3);
    assert_eq!(one.input(), Input::Ended(N));
    drop(one);

    let two = opened(&dir.path().join("data"));
    let seen = |sessions: &[StoredSession]| -> Vec<_> {
        sessions.iter().map(|s| (s.number.0, s.org.to_string(), s.cipher, s.next, s.ended)).collect()
    };
    let (of_a, of_b) = (two.load("a"), two.load("b"));
    assert_eq!(seen(&of_a), [(7, "a".to_owned(), 2, 3, Some(Outcome::Cut))]);
    assert_eq!(seen(&of_b), [(8, "b".to_owned(), 2, 0, None)]);
    assert_eq!(of_a[0].credential, SecretText::new("token of a"));
    let (ended, running) = (of_a[0].tally, of_b[0].tally);
    assert_eq!((ended.bytes, running.bytes), (10, 0), "without heads");
    assert!(ended.began.0 > 1_700_000_000 && ended.active >= ended.began, "{ended:?}");
    assert!(running.began >= ended.began && running.active.0 == 0, "when it was active is not known: {running:?}");
    assert_eq!(two.read(N, 1, 1000), Some(vec![Bytes::from_static(b"one"), Bytes::from_static(b"two")]));
    assert_eq!(two.load("c"), [], "an organization that was never here");
}

/// KEY-4: what opens a session is there with it after a restart, in whichever segment it came to lie, and counts among its bytes.
#[test]
fn an_envelope_lies_beside_its_session() {
    let dir = tempfile::tempdir().unwrap();
    let envelope = |of: SessionNumber| Write::Envelope { number: of, envelope: Bytes::from(body_of(of, 0, 1_268)) };
    let one = tuned(dir.path(), 20_000);
    one.load("a");
    one.store.write([begin(N, "a"), begin(OTHER, "a"), vec![envelope(N)]].concat());
    assert_eq!(one.input(), Input::Enveloped(N));
    for sequence in 0..50 {
        one.write_until(vec![record(N, sequence, &body_of(N, sequence, 900))], N, sequence + 1);
    }
    one.store.write(vec![envelope(OTHER), Write::End { number: OTHER, outcome: Outcome::Exited }]);
    assert_eq!([one.input(), one.input()], [Input::Ended(OTHER), Input::Enveloped(OTHER)]);
    drop(one);
    let (of_a, _) = ("a", "a").map_dirs(dir.path());
    let log = log::OrgLog::open(of_a, "a".parse().unwrap(), 20_000).unwrap();
    assert_eq!(log.held().iter().map(|held| held.bytes).collect::<Vec<_>>(), [50 * 948 + 1_316, 1_316]);
    drop(log);
    let two = tuned(dir.path(), 20_000);
    let kept: Vec<_> = two.load("a").into_iter().map(|session| session.envelope.map(Vec::from)).collect();
    assert_eq!(kept, [N, OTHER].map(|of| Some(body_of(of, 0, 1_268))));
}

/// ADM-4: the same session id in two orgs is two sessions, in files of their own; numbers are never given twice.
#[test]
fn two_orgs_share_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let id = SessionId([1; 16]);
    let one = opened(dir.path());
    let (left, right) = (one.first, SessionNumber(one.first.0 + 1));
    one.load("a");
    one.load("b");
    let records = |number| (0..50).map(move |sequence| record(number, sequence, &body_of(number, sequence, 900)));
    let mixed = records(left).zip(records(right)).flat_map(|(left, right)| [left, right]);
    one.write_until([begin_as(left, "a", id), begin_as(right, "b", id), mixed.collect()].concat(), right, 50);
    drop(one);
    let two = opened(dir.path());
    assert!(two.first > right);
    for (org, number) in [("a", left), ("b", right)] {
        let sessions = two.load(org);
        assert_eq!(sessions.iter().map(|s| (s.number, s.session, s.next)).collect::<Vec<_>>(), [(number, id, 50)]);
        for (sequence, body) in (0..).zip(two.read_all(number, 50)) {
            assert_eq!(body, body_of(number, sequence, 900));
        }
        // A file has nothing of the other organization.
        let files = root::dir_of(&dir.path().join("log"), &org.parse().unwrap());
        let bytes = std::fs::read(segment::path_of(&files, 0)).unwrap();
        let other = if number == left { right } else { left };
        assert!(memchr::memmem::find(&bytes, &body_of(other, 9, 30)).is_none());
    }
    drop(two);
    // A segment that stands in another organization's directory does not count there.
    let (from, to) = ("a", "b").map_dirs(dir.path());
    std::fs::copy(segment::path_of(&from, 0), segment::path_of(&to, 1)).unwrap();
    let three = opened(dir.path());
    assert_eq!(three.load("b").iter().map(|s| s.number).collect::<Vec<_>>(), [right]);
}

trait MapDirs {
    fn map_dirs(self, data: &Path) -> (PathBuf, PathBuf);
}

impl MapDirs for (&str, &str) {
    fn map_dirs(self, data: &Path) -> (PathBuf, PathBuf) {
        let dir = |org: &str| root::dir_of(&data.join("log"), &org.parse().unwrap());
        (dir(self.0), dir(self.1))
    }
}

/// Records of every size come back as they were, whatever segments they fell into and wherever reading begins.
#[test]
fn segments_are_invisible() {
    let dir = tempfile::tempdir().unwrap();
    let one = tuned(dir.path(), 150_000);
    let sizes = [0, 1, 60_000, 60_000, 10, 200_000, 3, 3, 3, 64 * 1024, 5, 70_000, 70_000, 400_000, 7];
    let body = |sequence: u64| body_of(N, sequence, sizes[usize::try_from(sequence).unwrap()]);
    one.load("a");
    one.write_until([begin(N, "a"), begin(OTHER, "a")].concat().into_iter().chain([record(OTHER, 0, b"x")]).collect(), OTHER, 1);
    let count = sizes.len() as u64;
    for sequence in 0..count {
        let of_other = record(OTHER, sequence + 1, &body_of(OTHER, sequence + 1, 30_000));
        one.write_until(vec![record(N, sequence, &body(sequence)), of_other], OTHER, sequence + 2);
    }
    let check = |opened: &Opened| {
        for start in 0..count {
            let mut next = start;
            while next < count {
                let bodies = opened.read(N, next, 100_000).unwrap();
                assert!(bodies.len() == 1 || bodies.iter().map(Bytes::len).sum::<usize>() <= 100_000);
                for got in bodies {
                    assert_eq!(got, body(next));
                    next += 1;
                }
            }
        }
    };
    check(&one);
    drop(one);
    let two = tuned(dir.path(), 150_000);
    assert_eq!(two.load("a").iter().map(|s| s.next).collect::<Vec<_>>(), [count, count + 1]);
    check(&two);
    assert!(std::fs::read_dir(root::dir_of(&dir.path().join("log"), &"a".parse().unwrap())).unwrap().count() > 3);
}

#[test]
fn what_is_not_there_is_said_to_be_unreadable() {
    let dir = tempfile::tempdir().unwrap();
    let one = opened(dir.path());
    one.load("a");
    one.write_until(begin(N, "a").into_iter().chain([record(N, 0, b"zero")]).collect(), N, 1);
    assert_eq!(one.read(N, 1, 1000), None);
    assert_eq!(one.read(SessionNumber(99), 0, 1000), None);
}

/// BIND-9: directories and files are the relay's alone.
#[test]
fn nobody_else_can_read_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("data");
    let one = opened(&path);
    one.load("a");
    one.write_until([begin(N, "a"), vec![record(N, 0, b"zero")]].concat(), N, 1);
    let mut folders = vec![path.clone()];
    while let Some(folder) = folders.pop() {
        assert_eq!(std::fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700, "{folder:?}");
        for entry in std::fs::read_dir(&folder).unwrap().map(Result::unwrap) {
            if entry.path().is_dir() {
                folders.push(entry.path());
            } else {
                assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{entry:?}");
            }
        }
    }
}

#[test]
fn a_second_relay_on_the_same_directory_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let first = opened(dir.path());
    assert!(matches!(Store::open(dir.path(), Retention::default(), Arc::new(|_| {})), Err(StoreError::InUse(_))));
    drop(first);
    opened(dir.path());
}

/// Starting takes no longer, and no more memory, the more is stored: nothing of an organization is read until a member connects.
#[test]
fn what_is_stored_is_not_read_at_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let one = opened(dir.path());
    one.load("a");
    one.write_until([begin(N, "a"), vec![record(N, 0, b"zero")]].concat(), N, 1);
    drop(one);
    let (of_a, _) = ("a", "a").map_dirs(dir.path());
    let segment = segment::path_of(&of_a, 0);
    std::fs::set_permissions(&segment, std::fs::Permissions::from_mode(0o000)).unwrap();
    std::fs::rename(&of_a, dir.path().join("aside")).unwrap();
    let two = opened(dir.path());
    std::fs::rename(dir.path().join("aside"), &of_a).unwrap();
    std::fs::set_permissions(&segment, std::fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(two.load("a").len(), 1);
}
