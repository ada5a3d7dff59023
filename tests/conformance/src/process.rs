//! What an adapter costs and leaves behind, as the operating system sees it. Each runs [alone](crate::alone::alone).

use std::{collections::BTreeMap, ffi::OsString, fs, io::Write, sync::mpsc, time::Duration};

use io_engine::{Home, Network};
use proto_core::{
    Deadline,
    effect::{Closed, Connect, Effect, HttpRequest, IoEvent, NetFault, StateFile},
    secret::SecretBytes,
};
use rustix::time::{ClockId, clock_gettime};

use crate::{
    Id, PATIENCE, Subject,
    http::get,
    next,
    peer::{Far, Peer},
    subject,
    websocket::open,
};

const LIMIT: usize = 300_000;

/// How long nothing is to do, how often threads may wake up in that time (once for the end of it; a timer wheel turns a few
/// times on its way there), and how long they may run.
const IDLE: Duration = Duration::from_millis(500);
const IDLE_WAKE_UPS: u64 = 12;
const IDLE_BUSY: Duration = Duration::from_millis(10);

/// Of so many idle times one has to be as quiet as that. An adapter that polls is loud in all of them; a machine with other work is
/// not.
const IDLE_TIMES: usize = 20;

/// How often all threads together may wake up for a message there and a message back, the other end's included.
const WAKE_UPS_PER_ROUND: u64 = 12;

/// What the threads of this process did so far.
struct Use {
    /// How often each had slept and woke up; `None` where the system does not count that.
    wake_ups: Option<BTreeMap<OsString, u64>>,
    /// How long they ran.
    busy: Duration,
}

/// What they did in a time.
#[derive(Debug)]
struct Used {
    /// By the threads that are still there.
    wake_ups: Option<u64>,
    busy: Duration,
}

impl Use {
    fn so_far() -> Self {
        let busy = Duration::try_from(clock_gettime(ClockId::ProcessCPUTime)).unwrap();
        Self { wake_ups: wake_ups(), busy }
    }

    fn since(&self) -> Used {
        let now = Self::so_far();
        let wake_ups = now.wake_ups.zip(self.wake_ups.as_ref()).map(|(now, before)| {
            let since = |(thread, count): (&OsString, &u64)| count.saturating_sub(*before.get(thread).unwrap_or(&0));
            now.iter().map(since).sum()
        });
        Used { wake_ups, busy: now.busy.saturating_sub(self.busy) }
    }
}

fn wake_ups() -> Option<BTreeMap<OsString, u64>> {
    let threads = fs::read_dir("/proc/self/task").ok()?;
    let slept = threads.flatten().filter_map(|thread| {
        let status = fs::read_to_string(thread.path().join("status")).ok()?;
        let count = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:")?.trim().parse().ok())?;
        Some((thread.file_name(), count))
    });
    Some(slept.collect())
}

impl Used {
    /// Whether threads woke up so often at most, said aloud where there is nothing to judge.
    fn wakes_up_at_most(&self, limit: u64) -> bool {
        let Some(wake_ups) = self.wake_ups else {
            let _ = writeln!(std::io::stderr(), "NOT COUNTED: this system does not say how often threads wake up");
            return true;
        };
        wake_ups <= limit
    }
}

/// With nothing to do nothing runs, whatever is open: a WebSocket, a request, a half-open handshake, a store that was done.
pub fn idle<S: Subject>() {
    let folder = tempfile::tempdir().unwrap();
    let relay = Peer::plain(|far| drop(far.upgrade(LIMIT).echo()));
    let [server, secure] = [(), ()].map(|()| Peer::plain(|mut far| far.read_to_end()));
    let mut subject = S::start(Some(Home::at(folder.path().join("home"))), Network::default());
    open(&mut subject, &relay);
    subject.perform(Effect::Http("request", get(server.url("http"))));
    let connect = Connect { url: secure.url("wss"), timeout: PATIENCE, max_message: LIMIT };
    subject.perform(Effect::Connect("secure", connect));
    subject.perform(Effect::Send("relay", "hello".into()));
    subject.perform(Effect::Store("file", StateFile::Config, SecretBytes::new(*b"x")));
    while wait_for(&mut subject, IDLE).is_some() {}

    let mut loud = Vec::new();
    loop {
        let before = Use::so_far();
        assert_eq!(wait_for(&mut subject, IDLE), None);
        let used = before.since();
        if used.wakes_up_at_most(IDLE_WAKE_UPS) && used.busy < IDLE_BUSY {
            break;
        }
        loud.push(used);
        assert!(loud.len() < IDLE_TIMES, "work while there was none, each time: {loud:?}");
    }
    assert_eq!(subject.abandon(), 0);
    [relay, server, secure].into_iter().for_each(Peer::finish);
}

fn wait_for<S: Subject>(subject: &mut S, time: Duration) -> Option<IoEvent<Id>> {
    let end = Deadline::new(subject.now().after(time), "idle");
    subject.next(Some(end))
}

/// A message costs a few wake-ups and no more.
pub fn few_wake_ups_for_a_message<S: Subject>() {
    const ROUNDS: u64 = 500;
    let peer = Peer::plain(|far| drop(far.upgrade(LIMIT).echo()));
    let mut subject = subject::<S>();
    open(&mut subject, &peer);
    let before = Use::so_far();
    for _ in 0..ROUNDS {
        subject.perform(Effect::Send("relay", "there".into()));
        let (mut sent, mut back) = (false, false);
        while !(sent && back) {
            match next(&mut subject) {
                IoEvent::Sent("relay", 1) => sent = true,
                IoEvent::Received("relay", _) => back = true,
                other => panic!("{other:?}"),
            }
        }
    }
    let used = before.since();
    assert!(used.wakes_up_at_most(ROUNDS * WAKE_UPS_PER_ROUND), "{used:?} for {ROUNDS} messages");
    subject.shutdown();
    peer.finish();
}

/// An adapter that is dropped in the middle of everything leaves no task, no socket, no thread's work half done.
pub fn nothing_stays_behind<S: Subject>() {
    // What the runtime keeps open for itself is open after this.
    dropped_in_the_middle::<S>();
    let before = descriptors();
    for _ in 0..3 {
        dropped_in_the_middle::<S>();
    }
    wait_until("descriptors are closed", || descriptors() <= before);
}

fn dropped_in_the_middle<S: Subject>() {
    let folder = tempfile::tempdir().unwrap();
    let home = Home::at(folder.path().join("home"));
    let mut subject = S::start(Some(home.clone()), Network::default());
    let relay = Peer::plain(|far| assert_eq!(far.upgrade(LIMIT).echo(), IoEvent::Closed((), Closed::Fault(NetFault::Broken))));
    open(&mut subject, &relay);
    let half_way: [fn(&mut Far); 3] =
        [|_| {}, |far| far.write(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"), |far| far.write(b"HTTP/1.1 101 Switch")];
    let (told, half_ways) = mpsc::channel();
    let [tls, http, upgrade] = half_way.map(|said| {
        let told = told.clone();
        Peer::plain(move |mut far| {
            assert!(!far.read().is_empty());
            said(&mut far);
            told.send(()).unwrap();
            far.read_to_end();
        })
    });
    let request = HttpRequest { timeout: 10 * PATIENCE, ..get(http.url("http")) };
    subject.perform(Effect::Http("request", request));
    subject.perform(Effect::Connect("secure", Connect { url: tls.url("wss"), timeout: PATIENCE, max_message: LIMIT }));
    subject.perform(Effect::Connect("upgrade", Connect { url: upgrade.url("ws"), timeout: PATIENCE, max_message: LIMIT }));
    for at in 0..20_u8 {
        subject.perform(Effect::Store("file", StateFile::Config, SecretBytes::new(vec![at; 200_000])));
    }
    for _ in 0..3 {
        while half_ways.try_recv().is_err() {
            let _ = wait_for(&mut subject, Duration::from_millis(1));
        }
    }
    assert_eq!(subject.abandon(), 0);
    [relay, tls, http, upgrade].into_iter().for_each(Peer::finish);
    // A file that was being written is finished, as that cannot be interrupted; what is there is one of those, and whole.
    wait_until("files are finished", || !names(&home).any(|name| name.starts_with(".unfinished")));
    if let Some(stored) = home.read(&StateFile::Config).unwrap() {
        let bytes = stored.expose();
        assert!(bytes.len() == 200_000 && bytes.iter().all(|byte| *byte == bytes[0]));
    }
}

fn names(home: &Home) -> impl Iterator<Item = String> {
    let entries = fs::read_dir(home.root()).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned())
}

fn descriptors() -> usize {
    fs::read_dir("/dev/fd").unwrap().count()
}

fn wait_until(what: &str, done: impl Fn() -> bool) {
    let began = std::time::Instant::now();
    while !done() {
        assert!(began.elapsed() < PATIENCE, "in vain: {what}");
        std::thread::yield_now();
    }
}
