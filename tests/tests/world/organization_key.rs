//! D15: what opens a session lies beside its records, sealed to the organization's key, which only members' viewing devices hold.

use std::time::Duration;

use proto_core::{
    OrgId, Reason, SessionId,
    api::PairingMode,
    device::{
        files::{Document as _, OrganizationKeyFile},
        link::LinkState,
        orgkey::{DAEMON_PAUSE, KeyEvent, VIEWER_PAUSE},
    },
    effect::StateFile,
    orgkey::{Envelope, WrappingKeys},
    wire::Content,
};
use verification::world::OrganizationKey;

use crate::{World, bound};

/// A machine, a viewing device that founded the key, and a session that said "earlier" and ended.
struct Scene {
    world: World,
    first: usize,
    earlier: usize,
}

impl Scene {
    fn set() -> Self {
        let mut world = bound(&["acme"]);
        let first = world.watcher("acme");
        world.settle();
        assert_eq!(world.watchers[first].key_news, [KeyEvent::Founded]);
        let earlier = world.run("/work/acme");
        world.show(earlier, "earlier");
        world.exit(earlier);
        world.pass(DAEMON_PAUSE);
        let scene = Self { world, first, earlier };
        assert!(scene.envelope(earlier).is_some());
        scene
    }

    fn org(&self) -> OrgId {
        self.world.org("acme")
    }

    fn session(&self, run: usize) -> SessionId {
        self.world.laptop.runs[run].id().expect("it streams")
    }

    /// What the relay keeps beside the records.
    fn envelope(&self, run: usize) -> Option<Envelope> {
        let stored = self.world.relays.values().find_map(|relay| relay.session(self.session(run)))?;
        Some(Envelope::decode(stored.envelope.as_ref()?).expect("an envelope"))
    }

    /// A watcher is shown all of the session.
    fn reads(&mut self, watcher: usize, run: usize) -> bool {
        let session = self.session(run);
        self.world.watch(watcher, session);
        self.world.pass(VIEWER_PAUSE);
        let records = self.world.watchers[watcher].records.get(&session);
        let contents: Vec<Content> = records.into_iter().flatten().map(|record| record.content.clone()).collect();
        !contents.is_empty() && contents == self.world.laptop.runs[run].shown
    }

    /// A device that was there, and one that is added now, open the earlier session.
    fn check_readable(mut self) {
        let earlier = self.earlier;
        let added = self.world.watcher("acme");
        self.world.pass(VIEWER_PAUSE * 2);
        assert!(self.world.watchers[added].key_news.contains(&KeyEvent::Held));
        for watcher in [self.first, added] {
            assert!(self.reads(watcher, earlier), "{:?}", self.world.watchers[watcher].failed);
        }
    }

    /// A watcher's file of the key.
    fn file(&self, watcher: usize) -> OrganizationKeyFile {
        let contents = &self.world.watchers[watcher].disk[&StateFile::OrganizationKey(self.org())];
        OrganizationKeyFile::parse(contents.expose()).expect("a file")
    }
}

/// F1: the machine is off, and its relay was restarted since.
#[test]
fn a_session_opens_while_its_machine_is_off() {
    let mut scene = Scene::set();
    scene.world.kill();
    scene.world.restart_relay("acme");
    scene.check_readable();
}

/// F1: refreshed, unpaired, revoked: the keys that the machine had are gone, and the session opens.
#[test]
fn a_session_opens_when_its_keys_are_gone_from_its_machine() {
    let refreshed = |world: &mut World| world.pair_with("acme", PairingMode::Add);
    let unpaired = |world: &mut World| drop(world.unpair(None).unwrap());
    let revoked = |world: &mut World| {
        world.revoke_machine("acme");
        world.until(|world| world.link("acme").is_none());
    };
    for gone in [&refreshed as &dyn Fn(&mut World), &unpaired, &revoked] {
        let mut scene = Scene::set();
        gone(&mut scene.world);
        scene.world.pass(DAEMON_PAUSE);
        assert_eq!(scene.world.laptop.pins().len(), 0, "nothing of the session is left on the machine");
        scene.check_readable();
    }
}

/// A session from before there was a key gets its envelope once there is one.
#[test]
fn a_session_from_before_there_was_a_key_is_sealed_later() {
    let mut world = bound(&["acme"]);
    let earlier = world.run("/work/acme");
    world.show(earlier, "earlier");
    world.exit(earlier);
    world.pass(DAEMON_PAUSE);
    assert_eq!(world.laptop.daemon().report().bindings[0].without_envelope, 1);
    let first = world.watcher("acme");
    world.pass(DAEMON_PAUSE);
    assert_eq!(world.laptop.daemon().report().bindings[0].without_envelope, 0);
    world.kill();
    Scene { world, first, earlier }.check_readable();
}

/// A viewing device is revoked: the next holder makes the next generation, and what is sealed from then on does not open with
/// anything that relay, platform and the revoked device have. What was sealed before opens for those who are left.
#[test]
fn a_removed_viewer_opens_nothing_that_comes_after() {
    let mut scene = Scene::set();
    let removed = scene.world.watcher("acme");
    scene.world.pass(VIEWER_PAUSE * 2);
    assert!(scene.world.watchers[removed].key_news.contains(&KeyEvent::Held));
    let had = scene.file(removed);
    let (target, keys) = (scene.world.watchers[removed].target(), WrappingKeys::of(&scene.world.watchers[removed].identity()));
    scene.world.revoke_watcher(removed, "acme");
    scene.world.pass(VIEWER_PAUSE * 2);
    assert!(scene.world.watchers[scene.first].key_news.contains(&KeyEvent::Renewed));
    assert_eq!(scene.world.platform.keys[&scene.org()].generation(), 2);

    scene.world.pass(DAEMON_PAUSE);
    let later = scene.world.run("/work/acme");
    scene.world.show(later, "later");
    scene.world.exit(later);
    scene.world.pass(DAEMON_PAUSE);
    let envelope = scene.envelope(later).expect("an envelope");
    assert_eq!((envelope.generation(), had.generations.len()), (2, 1));
    let (org, session) = (scene.org(), scene.session(later));
    let held = had.generations.iter().cloned().map(proto_core::orgkey::Generation::new);
    assert!(held.into_iter().all(|generation| envelope.open(&org, session, &generation).is_none()));
    let wrapped = scene.world.platform.keys[&org].wrapped();
    let opened: Vec<_> = wrapped.filter_map(|wrapped| wrapped.open(&org, &target, &keys)).collect();
    assert!(opened.iter().all(|generation| envelope.open(&org, session, generation).is_none()));

    scene.world.kill();
    assert!(scene.reads(scene.first, later));
    scene.check_readable();
}

/// The platform was restored from an old copy, and somebody founds a key there anew: whoever knows the lineage refuses that one,
/// and a daemon does not seal to it.
#[test]
fn a_forked_lineage_is_refused() {
    let mut scene = Scene::set();
    let (org, first) = (scene.org(), scene.first);
    let before = scene.file(first);
    let honest = scene.world.platform.keys.insert(org.clone(), OrganizationKey::default()).unwrap();
    let other = scene.world.watcher("acme");
    scene.world.pass(DAEMON_PAUSE);
    assert!(scene.world.watchers[other].key_news.contains(&KeyEvent::Founded), "it knew none");
    assert!(scene.world.watchers[first].key_news.contains(&KeyEvent::Trouble(Reason::OrganizationKeyForked)));
    assert_eq!(scene.file(first), before);
    let row = scene.world.laptop.daemon().report().bindings.remove(0);
    assert_eq!((row.link, row.key_reason), (LinkState::Connected, Some(Reason::OrganizationKeyForked)));

    let later = scene.world.run("/work/acme");
    scene.world.show(later, "later");
    scene.world.exit(later);
    scene.world.pass(VIEWER_PAUSE);
    scene.world.kill();
    assert!(scene.reads(first, later), "sealed to the key that is known");
    assert!(!scene.reads(other, later));

    // Once the platform shows the lineage again, all goes on.
    scene.world.platform.keys.insert(org, honest);
    scene.world.boot();
    scene.world.pass(Duration::from_mins(10));
    assert_eq!(scene.world.laptop.daemon().report().bindings[0].key_reason, None);
}

/// ISO-1, ISO-2: two organizations have keys of their own; who watches in one has nothing of the other's.
#[test]
fn two_organizations_have_keys_of_their_own() {
    let mut world = bound(&["acme", "beta"]);
    let watchers = ["acme", "beta"].map(|name| world.watcher(name));
    world.pass(DAEMON_PAUSE);
    let rows = world.laptop.daemon().report().bindings;
    let fingerprints: Vec<_> = rows.iter().map(|row| row.key.as_ref().unwrap().fingerprint.clone()).collect();
    assert_ne!(fingerprints[0], fingerprints[1]);
    for (watcher, name) in watchers.into_iter().zip(["acme", "beta"]) {
        let files = world.watchers[watcher].disk.keys().filter(|file| matches!(file, StateFile::OrganizationKey(_)));
        assert_eq!(files.collect::<Vec<_>>(), [&StateFile::OrganizationKey(world.org(name))]);
    }
}
