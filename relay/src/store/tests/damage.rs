//! Damage, anywhere: it costs what stood there, with a reason, and nothing else.

use std::collections::BTreeSet;

use super::*;

/// Numbers that are the same in each run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % limit
    }
}

const SESSIONS: u64 = 4;
const RECORDS: u64 = 30;

fn length(number: u64, sequence: u64) -> usize {
    usize::try_from(number * 311 + sequence * 97).unwrap() % 2_000
}

/// A store with sessions of two organizations in some segments: all of the records but a session's last are far from the end.
fn filled(dir: &Path) {
    let one = tuned(dir, 20_000);
    one.load("a");
    one.load("b");
    let org = |number: u64| if number.is_multiple_of(2) { "a" } else { "b" };
    one.store.write((0..SESSIONS).flat_map(|number| begin(SessionNumber(number), org(number))).collect());
    for sequence in 0..RECORDS {
        let round = (0..SESSIONS).map(|number| {
            let number = SessionNumber(number);
            record(number, sequence, &body_of(number, sequence, length(number.0, sequence)))
        });
        one.write_until(round.collect(), SessionNumber(SESSIONS - 1), sequence + 1);
    }
    one.store.write(vec![Write::End { number: SessionNumber(0), outcome: Outcome::Exited }]);
    while one.input() != Input::Ended(SessionNumber(0)) {}
}

fn files_in(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() { files.extend(files_in(&entry)) } else { files.push(entry) }
    }
    files.sort();
    files
}

fn copy(from: &Path, to: &Path) {
    for file in files_in(from) {
        let to = to.join(file.strip_prefix(from).unwrap());
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::copy(file, to).unwrap();
    }
}

/// What is wrong with a file.
fn harm(file: &Path, dice: &mut Dice) -> (usize, usize) {
    let mut bytes = std::fs::read(file).unwrap();
    let at = dice.below(bytes.len().max(1));
    let length = [1, 8, 64, 600, 5_000][dice.below(5)].min(bytes.len() - at);
    match dice.below(5) {
        0 => bytes[at..at + length].iter_mut().for_each(|byte| *byte ^= 0x5a),
        1 => bytes[at..at + length].fill(0),
        2 => bytes.truncate(at),
        3 => drop(bytes.drain(at..at + length)),
        _ => bytes[at..at + length].iter_mut().for_each(|byte| *byte = u8::try_from(dice.below(256)).unwrap()),
    }
    let end = if bytes.len() < at + length { usize::MAX } else { at + length };
    std::fs::write(file, bytes).unwrap();
    (at, end)
}

/// Every record that can be read is what was written. Says which cannot.
fn lost(opened: &Opened, org: &str, numbers: &[u64]) -> BTreeSet<(u64, u64)> {
    let known: BTreeSet<_> = opened.load(org).iter().map(|session| session.number.0).collect();
    assert!(known.iter().all(|number| numbers.contains(number)), "ADM-4");
    let mut lost = BTreeSet::new();
    for number in numbers {
        let mut sequence = 0;
        while sequence < RECORDS {
            let Some(bodies) = opened.read(SessionNumber(*number), sequence, 3_000) else {
                lost.insert((*number, sequence));
                sequence += 1;
                continue;
            };
            for body in bodies {
                assert_eq!(body, body_of(SessionNumber(*number), sequence, length(*number, sequence)));
                sequence += 1;
            }
        }
    }
    lost
}

/// F28: whatever is wrong with whichever file, the store opens, every read is answered, what is read is what was written, the
/// other organization is whole, and it goes on being written.
#[test]
fn damage_costs_what_stood_there() {
    let whole = tempfile::tempdir().unwrap();
    filled(whole.path());
    let count = if cfg!(debug_assertions) { 250 } else { 1_000 };
    let mut dice = Dice(11);
    for _ in 0..count {
        let dir = tempfile::tempdir().unwrap();
        copy(whole.path(), dir.path());
        let files = files_in(dir.path());
        let file = &files[dice.below(files.len())];
        let range = harm(file, &mut dice);
        let one = tuned(dir.path(), 20_000);
        let (of_a, of_b) = ("a", "b").map_dirs(dir.path());
        for (org, at, numbers) in [("a", of_a, [0, 2]), ("b", of_b, [1, 3])] {
            let lost = lost(&one, org, &numbers);
            assert!(file.starts_with(at) || lost.is_empty(), "{file:?} {range:?} cost {org} {lost:?}");
            // A range of 5,000 bytes holds a part of a few records; a cut costs what followed, a beginning that is gone the segment.
            let is_small = range.0 >= 1024 && range.1 - range.0 <= 600;
            assert!(
                !is_small || lost.len() <= 3 || lost.len() == usize::try_from(RECORDS).unwrap(),
                "{file:?} {range:?}: {lost:?}"
            );
            let fresh = SessionNumber(one.first.0 + numbers[0]);
            one.write_until([begin(fresh, org), vec![record(fresh, 0, b"goes on")]].concat(), fresh, 1);
            assert_eq!(one.read(fresh, 0, 10).unwrap(), [Bytes::from_static(b"goes on")]);
        }
    }
}

/// A segment that is gone costs the records in it, each with an answer; the sessions go on, and so does what began in it.
#[test]
fn a_lost_segment_costs_what_was_in_it() {
    let whole = tempfile::tempdir().unwrap();
    filled(whole.path());
    let (of_a, _) = ("a", "b").map_dirs(whole.path());
    let segments = files_in(&of_a).len();
    assert!(segments > 2);
    let mut all = BTreeSet::new();
    for missing in 1..segments {
        let dir = tempfile::tempdir().unwrap();
        copy(whole.path(), dir.path());
        let (of_a, _) = ("a", "b").map_dirs(dir.path());
        std::fs::remove_file(segment::path_of(&of_a, u32::try_from(missing).unwrap())).unwrap();
        let one = tuned(dir.path(), 20_000);
        let gone = lost(&one, "a", &[0, 2]);
        assert!(!gone.is_empty() && gone.len() < usize::try_from(2 * RECORDS).unwrap());
        assert!(gone.is_disjoint(&all), "each record was in one segment");
        all.extend(gone);
        assert!(lost(&one, "b", &[1, 3]).is_empty());
        let fresh = one.first;
        one.write_until([begin(fresh, "a"), vec![record(fresh, 0, b"goes on")]].concat(), fresh, 1);
        drop(one);
        assert_eq!(tuned(dir.path(), 20_000).load("a").len(), 3);
    }
    // The first segment had both of their beginnings.
    std::fs::remove_file(segment::path_of(&of_a, 0)).unwrap();
    assert!(tuned(whole.path(), 20_000).load("a").is_empty());
}

/// A kill leaves any part of the last commit: every record before it is there, and the torn one comes again.
#[test]
fn a_torn_tail_is_cut_wherever_it_is_torn() {
    let whole = tempfile::tempdir().unwrap();
    let one = opened(whole.path());
    one.load("a");
    one.write_until([begin(N, "a"), vec![record(N, 0, b"zero"), record(N, 1, b"one")]].concat(), N, 2);
    let (of_a, _) = ("a", "a").map_dirs(whole.path());
    let before = std::fs::metadata(segment::path_of(&of_a, 0)).unwrap().len();
    one.write_until(vec![record(N, 2, b"two, which is torn")], N, 3);
    let after = std::fs::metadata(segment::path_of(&of_a, 0)).unwrap().len();
    let bytes = std::fs::read(segment::path_of(&of_a, 0)).unwrap();
    for torn_at in before..=after {
        for is_zeroed in [false, true] {
            let dir = tempfile::tempdir().unwrap();
            let mut torn = bytes[..usize::try_from(torn_at).unwrap()].to_vec();
            if is_zeroed {
                // The length of the file became durable, the bytes did not.
                torn.resize(bytes.len(), 0);
            }
            let (of_a, _) = ("a", "a").map_dirs(dir.path());
            std::fs::create_dir_all(&of_a).unwrap();
            std::fs::write(segment::path_of(&of_a, 0), torn).unwrap();
            let two = opened(dir.path());
            let next = if torn_at == after { 3 } else { 2 };
            assert_eq!(two.load("a")[0].next, next, "torn at {torn_at}");
            two.write_until((next..5).map(|sequence| record(N, sequence, b"again")).collect(), N, 5);
            drop(two);
            let three = opened(dir.path());
            assert_eq!(three.load("a")[0].next, 5);
            let all = three.read_all(N, 5);
            assert_eq!((&all[0][..], &all[1][..], &all[3][..]), (&b"zero"[..], &b"one"[..], &b"again"[..]));
        }
    }
}

/// A commit that did not become durable as a whole counts up to its first gap, so that no session has one.
#[test]
fn a_gap_in_the_last_commit_ends_it() {
    let whole = tempfile::tempdir().unwrap();
    let one = opened(whole.path());
    one.load("a");
    one.write_until([begin(N, "a"), begin(OTHER, "a"), vec![record(N, 0, b"zero"), record(OTHER, 0, b"zero")]].concat(), N, 1);
    one.input();
    let (of_a, _) = ("a", "a").map_dirs(whole.path());
    let path = segment::path_of(&of_a, 0);
    let before = usize::try_from(std::fs::metadata(&path).unwrap().len()).unwrap();
    one.write_until([1, 2].map(|sequence| record(N, sequence, b"later")).into(), N, 3);
    let bytes = std::fs::read(&path).unwrap();
    drop(one);
    for at in before..before + entry::HEAD + 5 {
        let mut torn = bytes.clone();
        torn[at] ^= 1;
        std::fs::write(&path, torn).unwrap();
        let two = opened(whole.path());
        assert_eq!(two.load("a").iter().map(|s| s.next).collect::<Vec<_>>(), [1, 1], "changed at {at}");
        drop(two);
        std::fs::write(&path, &bytes).unwrap();
    }
}
