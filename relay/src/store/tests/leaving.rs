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
        for sequence in 0..100 {
            let length = if ended == 3 { 1_200 } else { 900 };
            one.store.write(vec![record(SessionNumber(ended), sequence, &body_of(SessionNumber(ended), sequence, length))]);
        }
        let lives = record(SessionNumber(0), ended - 2, &body_of(SessionNumber(0), ended - 2, 500));
        one.store.write(vec![lives, record(SessionNumber(1), ended - 2, b"of b")]);
        one.store.write(vec![Write::End { number: SessionNumber(ended), outcome: Outcome::Exited }]);
        while one.input() != Input::Ended(SessionNumber(ended)) {}
    }
    root::dir_of(&dir.join("log"), &"a".parse().unwrap())
}

fn size(dir: &Path) -> u64 {
    std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).sum()
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
    assert!(two.load("a")[0].ended.is_none());
    for (sequence, body) in (0..).zip(two.read_all(SessionNumber(4), 100)) {
        assert_eq!(body, body_of(SessionNumber(4), sequence, 900));
    }
    others_are_whole(&two);
}

/// The sessions of an organization that is loaded leave when the hub agrees; those of others by themselves. Nobody leaves within the
/// time of grace, and nobody who lives.
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
    // In a store where they ended long ago.
    for ended in [2, 3, 4] {
        let long_ago = vec![Write::End { number: SessionNumber(ended), outcome: Outcome::Exited }];
        log(40_000).make_durable(&long_ago, ended).unwrap();
    }
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

#[test]
fn the_hub_is_asked_about_sessions_that_it_knows() {
    let dir = tempfile::tempdir().unwrap();
    let of_a = filled(dir.path());
    let log = log::OrgLog::open(of_a, "a".parse().unwrap(), 40_000).unwrap();
    log.make_durable(&[Write::End { number: SessionNumber(3), outcome: Outcome::Exited }], 5).unwrap();
    drop(log);
    let retention = Retention { age: Some(Duration::from_secs(3_600)), ..Retention::default() };
    let ((writer, _tasks), (_wanted, wanted), (answers, said)) = (mpsc::channel(), mpsc::channel(), mpsc::channel());
    let mut loader = Loader {
        root: Root::take(dir.path()).unwrap(),
        retention,
        tuning: Tuning { segment_bytes: 40_000, retry_after: RETRY_AFTER, sweep_every: SWEEP_EVERY },
        wanted,
        writer,
        answers: Arc::new(move |answer| answers.send(answer).unwrap()),
        open: HashMap::new(),
        numbers: Arc::default(),
    };
    loader.load("a".parse().unwrap());
    assert!(matches!(said.recv().unwrap(), Answer::Loaded(_, Ok(sessions)) if sessions.len() == 4));
    loader.sweep(true).unwrap();
    assert!(matches!(said.recv().unwrap(), Answer::Leaving(leaving) if leaving == [SessionNumber(3)]));
    assert_eq!(loader.open[&"a".parse().unwrap()].sessions().len(), 4, "the hub has not agreed yet");
}
