//! Sessions that have ended leave, and their space becomes free.

use super::*;

const OFTEN: Duration = Duration::from_millis(1);
/// More than a session here has, less than two of them.
const SHARE: u64 = 150_000;

/// A session of 100 records in small segments, among those of a session that lives, 700 KiB in all.
fn filled(dir: &Path) -> PathBuf {
    let one = tuned(dir, 40_000);
    one.load("a");
    one.load("b");
    one.store.write([begin(SessionNumber(0), "a"), begin(SessionNumber(1), "b")].concat());
    for ended in [2, 3, 4] {
        one.store.write(begin(SessionNumber(ended), "a"));
        one.store.write(vec![Write::Envelope { number: SessionNumber(ended), envelope: envelope_of(ended) }]);
        for sequence in 0..100 {
            let length = if ended == 3 { 1_200 } else { 900 };
            one.store.write(vec![record(SessionNumber(ended), sequence, &body_of(SessionNumber(ended), sequence, length))]);
            // Among records that leave, so that it is copied when they do.
            if (ended, sequence) == (2, 50) {
                one.store.write(vec![Write::Envelope { number: SessionNumber(0), envelope: envelope_of(0) }]);
            }
        }
        let lives = record(SessionNumber(0), ended - 2, &body_of(SessionNumber(0), ended - 2, 500));
        one.store.write(vec![lives, record(SessionNumber(1), ended - 2, b"of b")]);
        one.store.write(vec![Write::End { number: SessionNumber(ended), outcome: Outcome::Exited }]);
        while one.input() != Input::Ended(SessionNumber(ended)) {}
    }
    root::dir_of(&dir.join("log"), &"a".parse().unwrap())
}

/// What opens a session there.
fn envelope_of(number: u64) -> Bytes {
    Bytes::from(format!("envelope {number}"))
}

/// Files may go while they are counted.
fn size(dir: &Path) -> u64 {
    std::fs::read_dir(dir).unwrap().filter_map(|entry| Some(entry.unwrap().metadata().ok()?.len())).sum()
}

/// What lives is whole, and so is the other organization.
fn others_are_whole(opened: &Opened) {
    for (sequence, body) in (0..).zip(opened.read_all(SessionNumber(0), 3)) {
        assert_eq!(body, body_of(SessionNumber(0), sequence, 500));
    }
    assert_eq!(opened.load("b").iter().map(|s| (s.number.0, s.next)).collect::<Vec<_>>(), [(1, 3)]);
    assert_eq!(opened.read_all(SessionNumber(1), 3), [&b"of b"[..]; 3]);
}

/// What the hub says has to go is gone, also after a restart, with the space that it took; the rest is as it was.
#[test]
fn what_leaves_is_gone_and_its_space_free() {
    let dir = tempfile::tempdir().unwrap();
    let of_a = filled(dir.path());
    let before = size(&of_a);
    let one = sweeping(dir.path(), 40_000, Retention::default(), OFTEN);
    assert_eq!(one.load("a").len(), 4);
    one.store.write([2, 3].map(|number| Write::Remove { number: SessionNumber(number) }).into());
    let limit = std::time::Instant::now() + PATIENCE;
    while size(&of_a) > before / 2 {
        assert!(std::time::Instant::now() < limit, "{} of {before} bytes are still there", size(&of_a));
        thread::yield_now();
    }
    assert_eq!(one.read(SessionNumber(2), 0, 10), None);
    others_are_whole(&one);
    drop(one);
    let two = opened(dir.path());
    assert_eq!(two.load("a").iter().map(|s| (s.number.0, s.next)).collect::<Vec<_>>(), [(0, 3), (4, 100)]);
    let sessions = two.load("a");
    assert!(sessions[0].ended.is_none());
    assert_eq!(sessions.into_iter().map(|s| s.envelope).collect::<Vec<_>>(), [0, 4].map(|number| Some(envelope_of(number))));
    for (sequence, body) in (0..).zip(two.read_all(SessionNumber(4), 100)) {
        assert_eq!(body, body_of(SessionNumber(4), sequence, 900));
    }
    others_are_whole(&two);
}

/// The sessions of an organization that is loaded leave when the hub agrees; those of others by themselves. None leaves within the
/// grace period, nor one that is live.
#[test]
fn the_oldest_leave_until_an_organization_has_its_share() {
    let dir = tempfile::tempdir().unwrap();
    let of_a = filled(dir.path());
    let retention = Retention { org_bytes: Some(SHARE), ..Retention::default() };
    // All of them have just ended.
    let log = |number: u32| log::OrgLog::open(of_a.clone(), "a".parse().unwrap(), number).unwrap();
    assert_eq!(retention::leaving(log(40_000).held(), None, Some(SHARE), root::now()), []);
    let later = root::now() + retention::GRACE;
    let leaving = retention::leaving(log(40_000).held(), None, Some(SHARE), later);
    assert_eq!(leaving, [SessionNumber(2), SessionNumber(3)]);
    assert_eq!(retention::leaving(log(40_000).held(), Some(Duration::ZERO), None, later).len(), 3);
    drop(age(&of_a));
    let one = sweeping(dir.path(), 40_000, retention, OFTEN);
    let limit = std::time::Instant::now() + PATIENCE;
    while log_is_over(&of_a) {
        assert!(std::time::Instant::now() < limit);
        thread::yield_now();
    }
    assert_eq!(one.load("a").iter().map(|s| s.number.0).collect::<Vec<_>>(), [0, 4], "they left by themselves");
    others_are_whole(&one);
}

fn log_is_over(of_a: &Path) -> bool {
    size(of_a) > 2 * SHARE
}

/// A loader that does only what it is told, and what it answers.
fn loader(dir: &Path, retention: Retention) -> (Loader, Receiver<Answer>) {
    let ((writer, _), (_, wanted), (answers, said)) = (mpsc::channel(), mpsc::channel(), mpsc::channel());
    let loader = Loader {
        root: Root::take(dir).unwrap(),
        retention,
        tuning: Tuning { segment_bytes: 40_000, retry_after: RETRY_AFTER, sweep_every: SWEEP_EVERY },
        wanted,
        writer,
        answers: Arc::new(move |answer| answers.send(answer).unwrap()),
        open: HashMap::new(),
        numbers: Arc::default(),
        others: HashMap::new(),
    };
    (loader, said)
}

/// All that ended in the log of `filled` ended long ago.
fn age(of_a: &Path) -> log::OrgLog {
    let log = log::OrgLog::open(of_a.to_owned(), "a".parse().unwrap(), 40_000).unwrap();
    for ended in [2, 3, 4] {
        log.make_durable(&[Write::End { number: SessionNumber(ended), outcome: Outcome::Exited }], ended).unwrap();
    }
    log
}

/// An organization whose files cannot be read does not keep the sessions of others from leaving.
#[test]
fn one_that_cannot_be_read_does_not_hold_up_others() {
    let dir = tempfile::tempdir().unwrap();
    let of_a = filled(dir.path());
    drop(age(&of_a));
    for org in "0123456789".chars() {
        let org = org.to_string().parse().unwrap();
        std::fs::write(root::dir_of(&dir.path().join("log"), &org), b"no directory").unwrap();
    }
    let limits = Retention { age: Some(Duration::from_hours(1)), bytes: Some(1 << 30), ..Retention::default() };
    let (mut loader, _) = loader(dir.path(), limits);
    loader.sweep(true).unwrap();
    drop(loader);
    let one = opened(dir.path());
    assert_eq!(one.load("a").iter().map(|s| s.number.0).collect::<Vec<_>>(), [0]);
    others_are_whole(&one);
}

/// What organizations without connections hold counts towards the limit of the relay, also while only the others are looked at.
#[test]
fn those_that_nobody_uses_count_too() {
    let dir = tempfile::tempdir().unwrap();
    let of_a = filled(dir.path());
    let held = age(&of_a).bytes();
    let limits = |bytes| Retention { bytes: Some(bytes), ..Retention::default() };
    let (mut first, _) = loader(dir.path(), limits(2 * held));
    first.sweep(true).unwrap();
    assert_eq!(first.others[&"a".parse().unwrap()], held, "there is room for all of it");
    drop(first);
    let (mut second, said) = loader(dir.path(), limits(held));
    let other = root::dir_of(&dir.path().join("log"), &"c".parse().unwrap());
    let log = log::OrgLog::open(other, "c".parse().unwrap(), 40_000).unwrap();
    let number = SessionNumber(9);
    log.make_durable(&[begin(number, "c"), vec![record(number, 0, &body_of(number, 0, 200_000))]].concat(), 1).unwrap();
    drop(log);
    second.weigh_others(&["c".parse().unwrap()]);
    second.load("a".parse().unwrap());
    assert!(matches!(said.recv().unwrap(), Answer::Loaded(_, Ok(sessions)) if sessions.len() == 4));
    second.sweep(false).unwrap();
    assert!(matches!(said.recv().unwrap(), Answer::Leaving(leaving) if leaving.contains(&SessionNumber(2))));
}

/// A segment that is damaged beyond reading stays, and with it the note that a session of it is gone; the others become smaller.
#[test]
fn a_damaged_segment_does_not_keep_the_space_of_others() {
    let dir = tempfile::tempdir().unwrap();
    let of_a = filled(dir.path());
    let log = age(&of_a);
    let remove = |number| Write::Remove { number: SessionNumber(number) };
    log.make_durable(&[2, 3, 4].map(remove), root::now()).unwrap();
    // The notes stand in a segment that is full, of a session that is gone too.
    let fifth = SessionNumber(5);
    log.make_durable(&begin(fifth, "a"), root::now()).unwrap();
    for sequence in 0..60 {
        log.make_durable(&[record(fifth, sequence, &body_of(fifth, sequence, 900))], root::now()).unwrap();
    }
    log.make_durable(&[Write::End { number: fifth, outcome: Outcome::Exited }, remove(5)], root::now()).unwrap();
    let (first, before) = (segment::path_of(&of_a, 0), size(&of_a));
    let whole = std::fs::read(&first).unwrap();
    std::fs::write(&first, [&[0; 1024], &whole[1024..]].concat()).unwrap();
    log.compact(|| true).unwrap();
    assert!(size(&of_a) < before / 2, "{} of {before} bytes are still there", size(&of_a));
    assert!(std::fs::metadata(&first).unwrap().len() >= whole.len() as u64);
    log.close().unwrap();
    drop(log);
    // It can be read again, as after a file system was mended.
    std::fs::write(&first, whole).unwrap();
    let one = opened(dir.path());
    assert_eq!(one.load("a").iter().map(|s| s.number.0).collect::<Vec<_>>(), [0], "who is gone stays gone");
    others_are_whole(&one);
}

#[test]
fn the_hub_is_asked_about_sessions_that_it_knows() {
    let dir = tempfile::tempdir().unwrap();
    let of_a = filled(dir.path());
    let log = log::OrgLog::open(of_a, "a".parse().unwrap(), 40_000).unwrap();
    log.make_durable(&[Write::End { number: SessionNumber(3), outcome: Outcome::Exited }], 5).unwrap();
    drop(log);
    let retention = Retention { age: Some(Duration::from_hours(1)), ..Retention::default() };
    let (mut loader, said) = loader(dir.path(), retention);
    loader.load("a".parse().unwrap());
    assert!(matches!(said.recv().unwrap(), Answer::Loaded(_, Ok(sessions)) if sessions.len() == 4));
    loader.sweep(true).unwrap();
    assert!(matches!(said.recv().unwrap(), Answer::Leaving(leaving) if leaving == [SessionNumber(3)]));
    assert_eq!(loader.open[&"a".parse().unwrap()].sessions().len(), 4, "the hub has not agreed yet");
}
