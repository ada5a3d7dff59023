//! Whole journeys: the real daemon and the real viewer, driven by the adapter under test, against the real relay and the real
//! platform on loopback.
//!
//! Everything that a person does is done the way a person does it: pairings are approved and machines revoked on the platform's
//! pages. Each journey has a platform and a relay of its own. It only ever waits for what has to come.

mod device;
mod laptop;
mod site;
mod terminal;
mod viewer;

use std::time::Duration;

use io_engine::wall_clock;
use proto_core::{
    Instant, Reason, UnixTime,
    api::PairingMode,
    device::{
        daemon::{self, Event, StoredState},
        files::{Config, Document as _, IdentityFile, PendingPairing},
        watcher,
    },
    effect::StateFile,
    wire::Outcome,
};
use viewport_platform::Clock;

use self::{
    device::until,
    laptop::Laptop,
    site::{ORG, Site},
    viewer::Viewer,
};
use crate::Subject;

/// Whose effect it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum EffectId {
    /// The daemon's.
    Daemon(daemon::EffectId),
    /// A viewer's.
    Watcher(watcher::EffectId),
}

/// The name of the second workspace.
const OTHER: &str = "Beta";

/// A laptop that is paired with [`ORG`] and connected.
fn paired<S: Subject<EffectId>>(site: &mut Site) -> Laptop<S> {
    let mut laptop = Laptop::start(&site.folder("home"), site);
    laptop.pair(site, PairingMode::New, ORG);
    laptop
}

/// `len` bytes that differ from those of another `seed`.
fn pattern(seed: u8, len: usize) -> Vec<u8> {
    (0..len).map(|at| at.to_le_bytes()[0].wrapping_mul(31).wrapping_add(at.to_le_bytes()[1]) ^ seed).collect()
}

/// What of `config.json` is on disk.
fn config<S: Subject<EffectId>>(laptop: &Laptop<S>) -> Config {
    let contents = laptop.home().read(&StateFile::Config).unwrap().expect("there is a config.json");
    Config::parse(contents.expose()).unwrap()
}

/// Nothing of any pairing is on disk.
fn assert_nothing_left<S: Subject<EffectId>>(laptop: &Laptop<S>) {
    let StoredState { identities, pending, sessions, .. } = laptop.home().found().unwrap();
    assert_eq!((identities, pending, sessions), (vec![], None, vec![]));
    assert_eq!(config(laptop).bindings, []);
}

/// A machine is paired in the browser: identity and credential are on disk, and the relay admits it. So it is again after a
/// restart.
pub fn pair<S: Subject<EffectId>>() {
    let mut site = Site::open();
    let laptop = paired::<S>(&mut site);
    assert_eq!(laptop.orgs(), [(ORG.to_owned(), true)]);
    let StoredState { identities, pending, .. } = laptop.home().found().unwrap();
    assert_eq!((identities.len(), pending), (1, None));
    assert_eq!(config(&laptop).bindings.iter().map(|record| record.generation).collect::<Vec<_>>(), [1]);
    laptop.shutdown();
    let mut laptop = Laptop::<S>::start(&site.folder("home"), &site);
    laptop.wait_for("the daemon is connected again", |laptop| laptop.is_connected(ORG));
}

/// S22, PAIR-5: the laptop is killed while a code is shown, and again after it was approved; it ends paired, by the identity that
/// it asked with.
pub fn killed_while_pairing<S: Subject<EffectId>>() {
    let mut site = Site::open();
    let home = site.folder("home");
    let mut laptop = Laptop::<S>::start(&home, &site);
    let code = laptop.ask_for_code(PairingMode::New);
    let pending = laptop.home().read(&StateFile::PendingPairing).unwrap().expect("a code that is shown is on disk");
    let asked_with = PendingPairing::parse(pending.expose()).unwrap().seed;
    laptop.kill();

    let laptop = Laptop::<S>::start(&home, &site);
    assert_eq!(laptop.code().map(|again| (again.code, again.url)), Some((code.code, code.url.clone())));
    laptop.kill();

    site.approve(&code.url, ORG);
    let mut laptop = Laptop::<S>::start(&home, &site);
    assert_eq!(laptop.wait_for_pairing(ORG).name, ORG);
    let StoredState { identities, pending, .. } = laptop.home().found().unwrap();
    let [(_, identity)] = &identities[..] else { panic!("{identities:?}") };
    assert_eq!((IdentityFile::parse(identity.expose()).unwrap().seed, pending), (asked_with, None));
}

/// What a command writes in a bound directory is, byte by byte, what a viewer shows.
pub fn stream<S: Subject<EffectId>>() {
    let mut site = Site::open();
    let mut laptop = paired::<S>(&mut site);
    let repository = site.repository("api");
    assert_eq!(laptop.bind(&repository, "acme").org.name, ORG);
    let mut viewer = Viewer::<S>::pair(&site.folder("viewer"), &mut site, ORG);

    let session = laptop.run(&repository, "make");
    let pieces = [pattern(1, 1), pattern(2, 70_000), pattern(3, 500), pattern(4, 200_000)];
    for piece in &pieces {
        laptop.write(session, piece);
    }
    until((&mut laptop, &mut viewer), "all of it is shown while the command runs", |(_, viewer)| {
        viewer.output(session).len() == pieces.concat().len()
    });
    laptop.exit(session);
    until((&mut laptop, &mut viewer), "the end is shown", |(laptop, viewer)| {
        viewer.has_seen_the_end(session) && laptop.terminal(session).is_delivered()
    });
    assert!(viewer.output(session) == pieces.concat(), "other bytes are shown");
    assert_eq!(viewer.seen()[&session].end(), Some(Outcome::Exited));
}

/// SES-1, SES-2: the relay goes away in the middle of a stream and comes back: nothing is lost and nothing doubled.
pub fn relay_restarts<S: Subject<EffectId>>() {
    let mut site = Site::open();
    let mut laptop = paired::<S>(&mut site);
    let repository = site.repository("api");
    laptop.bind(&repository, "acme");
    let mut viewer = Viewer::<S>::pair(&site.folder("viewer"), &mut site, ORG);
    let session = laptop.run(&repository, "make");
    let piece = |number: u8| pattern(number, 3_000);
    for number in 0..20 {
        laptop.write(session, &piece(number));
    }
    until((&mut laptop, &mut viewer), "the stream is under way", |(_, viewer)| !viewer.output(session).is_empty());

    for number in 20..40 {
        laptop.write(session, &piece(number));
    }
    site.stop_relay();
    until((&mut laptop, &mut viewer), "the relay has stopped", |_| site.relay_has_stopped());
    for number in 40..60 {
        laptop.write(session, &piece(number));
    }
    until((&mut laptop, &mut viewer), "both notice it", |(laptop, viewer)| !laptop.is_connected(ORG) && !viewer.is_up());
    site.start_relay();
    for number in 60..80 {
        laptop.write(session, &piece(number));
    }
    laptop.exit(session);
    until((&mut laptop, &mut viewer), "the end is shown", |(laptop, viewer)| {
        viewer.has_seen_the_end(session) && laptop.terminal(session).is_delivered()
    });
    let written: Vec<u8> = (0..80).flat_map(piece).collect();
    assert!(viewer.output(session) == written, "bytes are lost, doubled or out of order");
    assert_eq!(viewer.seen().len(), 1);
}

/// How long a lid was closed: long enough for a renewal at the latest of its times, and not for the end of a credential.
const ASLEEP: Duration = Duration::from_mins(51);

/// D8: a laptop wakes up with a credential that is due: it is renewed, and shown to the relay over the connection that there is.
pub fn rotate<S: Subject<EffectId>>() {
    let now = wall_clock(Instant::ZERO).unix_at(Instant::ZERO);
    let clock = Clock::manual(UnixTime(now.0 - ASLEEP.as_secs()));
    let mut site = Site::open_at(clock.clone());
    let mut laptop = Laptop::<S>::start_behind(&site.folder("home"), &site, ASLEEP);
    laptop.pair(&mut site, PairingMode::New, ORG);
    let repository = site.repository("api");
    laptop.bind(&repository, "acme");
    let session = laptop.run(&repository, "make");
    laptop.write(session, b"before");
    laptop.wait_for("the beginning is durable", |laptop| laptop.terminal(session).is_acknowledged());

    clock.advance(ASLEEP.as_secs());
    laptop.wake_up();
    laptop.wait_for("the relay takes the renewed credential", |_| site.count_in_relay_log("credential renewed") == 1);
    assert_eq!(config(&laptop).bindings[0].generation, 2);
    laptop.write(session, b"after");
    laptop.exit(session);
    laptop.wait_for("the session is whole", |laptop| laptop.terminal(session).is_delivered());
    let connections = laptop.log().iter().filter(|event| matches!(event, Event::Connected(_) | Event::Disconnected(..)));
    assert_eq!((connections.count(), site.count_in_relay_log("daemon admitted")), (1, 1), "{:#?}", laptop.log());
}

/// D3, BIND-6: a user presses Revoke on the Machines page: the running session is cut, and binding and key are deleted.
pub fn revoke<S: Subject<EffectId>>() {
    let mut site = Site::open();
    let mut laptop = paired::<S>(&mut site);
    let repository = site.repository("api");
    laptop.bind(&repository, "acme");
    let session = laptop.run(&repository, "make");
    site.revoke("acme");
    laptop.wait_for("nothing of the binding is left", |laptop| laptop.log().iter().any(|event| matches!(event, Event::Gone(_))));
    laptop.wait_for("the session is cut", |laptop| laptop.terminal(session).cut().is_some());
    assert_eq!(laptop.terminal(session).cut(), Some(Reason::MachineRevoked));
    assert_eq!(laptop.orgs(), []);
    laptop.shutdown();
    let laptop = Laptop::<S>::start(&site.folder("home"), &site);
    assert_nothing_left(&laptop);
}

/// D2: a pairing that replaces another lets that one's session go on to its end; a new session goes to the new org.
pub fn replace<S: Subject<EffectId>>() {
    let mut site = Site::open();
    site.make_workspace(OTHER);
    let mut laptop = paired::<S>(&mut site);
    let mut viewer = Viewer::<S>::pair(&site.folder("viewer"), &mut site, ORG);
    let mut other_viewer = Viewer::<S>::pair(&site.folder("other viewer"), &mut site, OTHER);
    let (repository, other_repository) = (site.repository("api"), site.repository("web"));
    laptop.bind(&repository, "acme");
    let session = laptop.run(&repository, "old");
    laptop.write(session, b"old, ");
    // The key is the daemon's to give, and goes with the binding: a viewer of the session has to have it by then.
    until((&mut laptop, &mut viewer), "the beginning is shown", |(_, viewer)| viewer.output(session) == b"old, ");

    laptop.pair(&mut site, PairingMode::Replace, OTHER);
    assert_eq!(laptop.orgs(), [(ORG.to_owned(), false), (OTHER.to_owned(), true)]);
    laptop.bind(&other_repository, "beta");
    let other_session = laptop.run(&other_repository, "new");
    laptop.write(other_session, b"new");
    laptop.write(session, b"to its end");
    laptop.exit(session);
    laptop.exit(other_session);
    until((&mut laptop, &mut viewer, &mut other_viewer), "both ends are shown", |(_, viewer, other_viewer)| {
        viewer.has_seen_the_end(session) && other_viewer.has_seen_the_end(other_session)
    });
    assert_eq!((viewer.output(session), other_viewer.output(other_session)), (b"old, to its end".to_vec(), b"new".to_vec()));
    assert_eq!((viewer.seen().len(), other_viewer.seen().len()), (1, 1));
    laptop.wait_for("the old binding is gone", |laptop| laptop.log().iter().any(|event| matches!(event, Event::Gone(_))));
    assert_eq!(laptop.orgs(), [(OTHER.to_owned(), true)]);
    assert_eq!(config(&laptop).bindings.iter().map(|record| &*record.name).collect::<Vec<_>>(), [OTHER]);
    assert_eq!(laptop.home().identities().unwrap().len(), 1);
}

/// S129: `vpd unpair` ends the binding and its session, and leaves nothing of it on disk.
pub fn unpair<S: Subject<EffectId>>() {
    let mut site = Site::open();
    let mut laptop = paired::<S>(&mut site);
    let repository = site.repository("api");
    laptop.bind(&repository, "acme");
    let session = laptop.run(&repository, "make");
    assert_eq!(laptop.unpair("acme").org.name, ORG);
    laptop.wait_for("the session is cut", |laptop| laptop.terminal(session).cut().is_some());
    assert_eq!(laptop.terminal(session).cut(), Some(Reason::SessionCut));
    assert_eq!(laptop.orgs(), []);
    assert_nothing_left(&laptop);
}

/// The same, while the platform is away.
pub fn unpair_without_platform<S: Subject<EffectId>>() {
    let mut site = Site::open();
    let mut laptop = paired::<S>(&mut site);
    site.stop_platform();
    assert_eq!(laptop.unpair("acme").org.name, ORG);
    assert_eq!(laptop.orgs(), []);
    assert_nothing_left(&laptop);
}

/// D1: one daemon streams to two orgs at once; each viewer sees what is its org's, and nothing else.
pub fn two_orgs<S: Subject<EffectId>>() {
    let mut site = Site::open();
    site.make_workspace(OTHER);
    let mut laptop = paired::<S>(&mut site);
    laptop.pair(&mut site, PairingMode::Add, OTHER);
    assert!(laptop.is_connected(ORG) && laptop.is_connected(OTHER));
    let mut viewers = [(ORG, "acme"), (OTHER, "beta")].map(|(org, _)| Viewer::<S>::pair(&site.folder(org), &mut site, org));
    let repositories = ["acme", "beta"].map(|slug| {
        let repository = site.repository(slug);
        laptop.bind(&repository, slug);
        repository
    });
    let sessions = repositories.map(|repository| laptop.run(&repository, "make"));
    let output = |org: u8| (0..10).map(move |number| pattern(org ^ (number << 4), 2_000));
    for (ours, theirs) in output(1).zip(output(2)) {
        laptop.write(sessions[0], &ours);
        laptop.write(sessions[1], &theirs);
    }
    for session in sessions {
        laptop.exit(session);
    }
    let [viewer, other_viewer] = &mut viewers;
    until((&mut laptop, viewer, other_viewer), "both ends are shown", |(_, viewer, other_viewer)| {
        viewer.has_seen_the_end(sessions[0]) && other_viewer.has_seen_the_end(sessions[1])
    });
    for (viewer, (session, org)) in viewers.iter().zip(sessions.into_iter().zip(1..)) {
        assert!(viewer.output(session) == output(org).flatten().collect::<Vec<_>>(), "other bytes are shown");
        assert_eq!(viewer.seen().keys().collect::<Vec<_>>(), [&session]);
    }
}

/// Two daemons on two runtimes are paired with one org and stream through one relay at the same time: one viewer sees both.
pub fn two_runtimes<A: Subject<EffectId>, B: Subject<EffectId>, V: Subject<EffectId>>() {
    let mut site = Site::open();
    let repository = site.repository("api");
    let mut one = Laptop::<A>::start(&site.folder("one"), &site);
    let mut other = Laptop::<B>::start(&site.folder("other"), &site);
    one.pair(&mut site, PairingMode::New, ORG);
    other.pair(&mut site, PairingMode::New, ORG);
    let mut viewer = Viewer::<V>::pair(&site.folder("viewer"), &mut site, ORG);
    one.bind(&repository, "acme");
    let copy = site.repository("copy");
    other.bind(&copy, "acme");
    let sessions = (one.run(&repository, "one"), other.run(&copy, "other"));
    let piece = |seed: u8, number: u8| pattern(seed ^ number, 4_000);
    for number in 0..30 {
        one.write(sessions.0, &piece(64, number));
        other.write(sessions.1, &piece(128, number));
        // Both are in the middle of their streams at the same time.
        until((&mut one, &mut other), "both are acknowledged", |(one, other)| {
            one.terminal(sessions.0).is_acknowledged() && other.terminal(sessions.1).is_acknowledged()
        });
    }
    one.exit(sessions.0);
    other.exit(sessions.1);
    until((&mut one, &mut other, &mut viewer), "both ends are shown", |(_, _, viewer)| {
        viewer.has_seen_the_end(sessions.0) && viewer.has_seen_the_end(sessions.1)
    });
    for (session, seed) in [(sessions.0, 64), (sessions.1, 128)] {
        assert!(viewer.output(session) == (0..30).flat_map(|number| piece(seed, number)).collect::<Vec<_>>(), "other bytes");
    }
    assert!(one.is_connected(ORG) && other.is_connected(ORG));
}
