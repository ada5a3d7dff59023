//! The store on a real file, and on one that fails.

use std::{
    os::unix::fs::PermissionsExt as _,
    sync::{Mutex, mpsc::Receiver},
};

use bytes::Bytes;
use proto_core::{
    SessionId,
    relay::hub::{ConnectionId, Records, SealedRecord, SessionNumber},
    secret::SecretText,
    wire::Outcome,
};
use redb::{StorageBackend, backends::InMemoryBackend};

use super::*;

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(30);
const N: SessionNumber = SessionNumber(7);

fn answers() -> (Answers, Receiver<Input>) {
    let (sender, receiver) = mpsc::channel();
    let sender = Mutex::new(sender);
    (Arc::new(move |input| sender.lock().unwrap().send(input).unwrap()), receiver)
}

fn begin(number: SessionNumber, org: &str) -> Vec<Write> {
    let (org, target) = (org.parse().unwrap(), "target".parse().unwrap());
    let credential = Write::Credential { org, target, credential: SecretText::new("token") };
    let Write::Credential { org, target, .. } = credential.clone() else { unreachable!() };
    vec![credential, Write::Session { number, org, session: SessionId([1; 16]), target, cipher: 2 }]
}

fn record(number: SessionNumber, sequence: u64, body: &[u8]) -> Write {
    let body = Bytes::copy_from_slice(body);
    Write::Record { number, sequence, record: SealedRecord { epoch: 3, body } }
}

fn read(from: u64, max_bytes: usize) -> Read {
    Read { viewer: ConnectionId(1), session: N, from, max_bytes }
}

fn bodies(input: Input) -> (u64, Vec<Bytes>) {
    let Input::Records(Records { from, records, .. }) = input else { panic!("{input:?}") };
    (from, records.into_iter().map(|record| record.body).collect())
}

/// SES-2: what was answered is there after the store is opened again, in order, and the sessions of two orgs are apart.
#[test]
fn what_was_answered_is_there_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let (to, from) = answers();
    let (store, sessions) = Store::open(&dir.path().join("data"), to.clone()).unwrap();
    assert_eq!(sessions, []);
    store.write([begin(N, "a"), begin(SessionNumber(8), "b"), vec![record(N, 0, b"zero")]].concat());
    assert_eq!(from.recv().unwrap(), Input::Appended(N, 1));
    store.write(vec![record(N, 1, b"one"), record(N, 2, b"two"), Write::End { number: N, outcome: Outcome::Cut }]);
    assert_eq!(from.recv().unwrap(), Input::Appended(N, 3));
    assert_eq!(from.recv().unwrap(), Input::Ended(N));
    drop(store);

    let (store, sessions) = Store::open(&dir.path().join("data"), to).unwrap();
    let seen: Vec<_> = sessions.iter().map(|s| (s.number.0, s.org.as_str(), s.cipher, s.next, s.ended)).collect();
    assert_eq!(seen, [(7, "a", 2, 3, Some(Outcome::Cut)), (8, "b", 2, 0, None)]);
    assert_eq!(sessions[0].credential, SecretText::new("token"));
    store.read(read(1, 1000));
    assert_eq!(bodies(from.recv().unwrap()), (1, vec![Bytes::from_static(b"one"), Bytes::from_static(b"two")]));
}

/// Records of every size come back as they were, whatever chunks they fell into and wherever reading begins.
#[test]
fn chunks_are_invisible() {
    let dir = tempfile::tempdir().unwrap();
    let (to, from) = answers();
    let (store, _) = Store::open(dir.path(), to).unwrap();
    let sizes = [0, 1, 60_000, 60_000, 10, 200_000, 3, 3, 3, 64 * 1024, 5];
    let body = |sequence: usize| vec![u8::try_from(sequence).unwrap(); sizes[sequence]];
    store.write(begin(N, "a"));
    for sequence in 0..sizes.len() {
        store.write(vec![record(N, sequence as u64, &body(sequence))]);
    }
    while from.recv().unwrap() != Input::Appended(N, sizes.len() as u64) {}
    for start in 0..sizes.len() {
        let mut next = start;
        while next < sizes.len() {
            store.read(read(next as u64, 100_000));
            let (from, bodies) = bodies(from.recv().unwrap());
            assert_eq!(from, next as u64);
            assert!(bodies.len() == 1 || bodies.iter().map(Bytes::len).sum::<usize>() <= 100_000);
            for got in bodies {
                assert_eq!(got, body(next));
                next += 1;
            }
        }
    }
}

#[test]
fn what_is_not_there_is_said_to_be_unreadable() {
    let dir = tempfile::tempdir().unwrap();
    let (to, from) = answers();
    let (store, _) = Store::open(dir.path(), to).unwrap();
    store.write(begin(N, "a"));
    store.read(read(0, 1000));
    assert_eq!(from.recv().unwrap(), Input::Unreadable(ConnectionId(1), N));
}

/// BIND-9: the directory and the file are the relay's alone.
#[test]
fn nobody_else_can_read_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("data");
    let (to, _from) = answers();
    let _store = Store::open(&path, to).unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&path), mode(&path.join("records.redb"))), (0o700, 0o600));
}

#[test]
fn a_second_relay_on_the_same_directory_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (to, _from) = answers();
    let _first = Store::open(dir.path(), to.clone()).unwrap();
    assert!(matches!(Store::open(dir.path(), to), Err(StoreError::Database(_))));
}

/// Bytes in memory that can be told to fail.
#[derive(Clone, Debug)]
struct Fragile {
    bytes: Arc<InMemoryBackend>,
    broken: Arc<AtomicBool>,
}

impl Fragile {
    fn check(&self) -> std::io::Result<()> {
        if self.broken.load(Ordering::SeqCst) { Err(std::io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }
}

impl StorageBackend for Fragile {
    fn len(&self) -> std::io::Result<u64> {
        self.bytes.len()
    }
    fn read(&self, offset: u64, out: &mut [u8]) -> std::io::Result<()> {
        self.bytes.read(offset, out)
    }
    fn set_len(&self, len: u64) -> std::io::Result<()> {
        self.check()?;
        self.bytes.set_len(len)
    }
    fn sync_data(&self) -> std::io::Result<()> {
        self.check()?;
        self.bytes.sync_data()
    }
    fn write(&self, offset: u64, data: &[u8]) -> std::io::Result<()> {
        self.check()?;
        self.bytes.write(offset, data)
    }
}

/// A full disk loses nothing: no answer until the write works, then the answer, with the store readable all the time after.
#[test]
fn a_failed_commit_is_tried_again_until_it_works() {
    let disk = Fragile { bytes: Arc::new(InMemoryBackend::new()), broken: Arc::default() };
    let broken = Arc::clone(&disk.broken);
    let (to, from) = answers();
    let opener = Arc::new(move || Ok(Database::builder().create_with_backend(disk.clone())?));
    let (store, _) = Store::open_with(opener, Duration::from_millis(1), to).unwrap();
    store.write([begin(N, "a"), vec![record(N, 0, b"zero")]].concat());
    assert_eq!(from.recv().unwrap(), Input::Appended(N, 1));
    broken.store(true, Ordering::SeqCst);
    store.write(vec![record(N, 1, b"one")]);
    while store.working().load(Ordering::SeqCst) {
        thread::yield_now();
    }
    assert!(from.try_recv().is_err());
    broken.store(false, Ordering::SeqCst);
    assert_eq!(from.recv().unwrap(), Input::Appended(N, 2));
    assert!(store.working().load(Ordering::SeqCst));
    store.read(read(0, 1000));
    assert_eq!(bodies(from.recv().unwrap()).1.len(), 2);
}

/// F28: whatever bytes of the file are damaged, every read is answered, or the store says at the start that it cannot be used.
#[test]
fn every_read_of_a_damaged_file_is_answered() {
    const RECORDS: u64 = 40;
    let dir = tempfile::tempdir().unwrap();
    let (to, from) = answers();
    let (store, _) = Store::open(dir.path(), to.clone()).unwrap();
    store.write(begin(N, "a"));
    for sequence in 0..RECORDS {
        store.write(vec![record(N, sequence, &[u8::try_from(sequence).unwrap(); 9_000])]);
    }
    while from.recv_timeout(PATIENCE).unwrap() != Input::Appended(N, RECORDS) {}
    drop(store);
    let whole = std::fs::read(dir.path().join("records.redb")).unwrap();
    let mut answered = 0;
    for place in (0..whole.len()).step_by(whole.len() / 97) {
        let mut damaged = whole.clone();
        damaged[place..].iter_mut().take(64).for_each(|byte| *byte ^= 0x5a);
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("records.redb"), damaged).unwrap();
        let Ok((store, _)) = Store::open(dir.path(), to.clone()) else { continue };
        for sequence in (0..RECORDS).step_by(7) {
            store.read(read(sequence, 20_000));
            match from.recv_timeout(PATIENCE).expect("a read without an answer") {
                Input::Unreadable(..) => {}
                input => assert_eq!(bodies(input).0, sequence),
            }
            answered += 1;
        }
    }
    assert!(answered > 100, "{answered}");
}
